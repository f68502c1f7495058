// The filters of refused rows: from the address into a form, and from the form into the address.

import { addressOf } from './jobs.js';
import { el, link } from './ui.js';

const names = ['state', 'code', 'column', 'file', 'run'];
const states = ['open', 'replayed', 'discarded'];

// Each filter with its value, empty where there is none.
export function filtersOf(query) {
  return Object.fromEntries(names.map((name) => [name, query.get(name) ?? '']));
}

// Whether somebody chose fewer rows than the open ones, which the page begins with.
export function isNarrowed(filters) {
  return names.some((name) => filters[name] !== '' && !(name === 'state' && filters.state === 'open'));
}

export function filterForm(view, job, filters) {
  const state = stateField(filters);
  const text = (name, label, example, extra) => textField(filters, name, label, example, extra);
  const form = el(
    'form',
    { class: 'filters', role: 'search', 'aria-label': 'Filter refused rows', test: 'quarantine-filters' },
    el('div', { class: 'field' }, el('label', { for: 'filter-state' }, 'State'), state),
    text('code', 'Code', 'bad_email'),
    text('column', 'Column', 'email'),
    text('file', 'File', 'people-1.csv'),
    text('run', 'Run', '12', { inputmode: 'numeric', pattern: '[0-9]+', title: 'The number of a run' }),
    el(
      'div',
      { class: 'actions' },
      el('button', { type: 'submit', test: 'filter-apply' }, 'Filter'),
      link(addressOf.quarantine(job), 'Clear', { kind: 'quiet-link', test: 'filter-clear' }),
    ),
  );
  const apply = () => view.go(addressOf.quarantine(job, wantedOf(form)));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (form.reportValidity()) {
      apply();
    }
  });
  state.addEventListener('change', apply);
  return form;
}

function stateField(filters) {
  const option = (value, text) => el('option', { value, selected: value === filters.state }, text);
  return el(
    'select',
    { id: 'filter-state', name: 'state', test: 'filter-state' },
    option('', 'any'),
    states.map((state) => option(state, state)),
  );
}

function textField(filters, name, label, example, extra = {}) {
  return el(
    'div',
    { class: 'field' },
    el('label', { for: `filter-${name}` }, label),
    el('input', {
      id: `filter-${name}`,
      name,
      value: filters[name],
      placeholder: `as in ${example}`,
      maxlength: '256',
      autocomplete: 'off',
      spellcheck: 'false',
      test: `filter-${name}`,
      ...extra,
    }),
  );
}

// What was filled in.
function wantedOf(form) {
  const values = names.map((name) => [name, form.elements.namedItem(name).value.trim()]);
  return Object.fromEntries(values.filter(([, value]) => value !== ''));
}
