// The page of refused rows of a job: filters, a choice of rows, and replay or discard of what is chosen.

import { get, path } from './api.js';
import { toast } from './dialogs.js';
import { openEntry, settle } from './entry.js';
import { addressOf } from './jobs.js';
import { count, plural, writtenOut } from './format.js';
import { announce, button, el, link, pageHead, replace, setText, stateBadge, when } from './ui.js';
import { asProblem, empty, errorState, explain, load } from './states.js';
import { dataTable, moreButton, opens } from './table.js';
import { plainName } from './values.js';

const pageRows = 50;
const idsMax = 500;
const filterNames = ['state', 'code', 'column', 'file', 'run'];

// Without a job in the address: the only job, or a choice of them.
export async function choose(view) {
  view.title('Quarantine');
  const slot = el('div', {});
  replace(view.main, pageHead({ title: 'Quarantine' }), slot);
  await load(
    view,
    slot,
    () => get(path(['jobs']), { signal: view.signal }),
    (answer) => {
      if (answer.jobs.length === 1) {
        view.redirect(addressOf.quarantine(answer.jobs[0].name, { state: 'open' }));
        return null;
      }
      if (answer.jobs.length === 0) {
        return empty('No job is served', 'Name job files when you start it: ferry-client serve people.toml.');
      }
      const table = dataTable({
        caption: 'Jobs and how many of their rows are in quarantine',
        test: 'quarantine-jobs',
        key: (job) => job.name,
        row: { prepare: (node) => opens(node) },
        columns: [
          {
            label: 'Job',
            kind: 'main',
            cell: (job) =>
              link(addressOf.quarantine(job.name, { state: 'open' }), plainName(job.name), {
                kind: 'strong',
                test: 'quarantine-job',
              }),
          },
          { label: 'Dataset', cell: (job) => plainName(job.dataset) },
          {
            label: 'Open rows',
            kind: 'number',
            cell: (job) =>
              el('span', { class: job.open_quarantine > 0 ? 'warn-text' : 'muted' }, count(job.open_quarantine)),
          },
        ],
      });
      table.set(answer.jobs);
      return el('div', { class: 'card flush' }, table.element);
    },
    4,
  );
}

export async function show(view) {
  const { job } = view.params;
  view.title(`Quarantine of ${job}`);
  const filters = Object.fromEntries(filterNames.map((name) => [name, view.query.get(name) ?? '']));
  const result = el('div', { role: 'status', test: 'quarantine-result' });
  const slot = el('div', {});
  replace(
    view.main,
    pageHead({
      trail: [
        ['Jobs', '/'],
        [plainName(job), addressOf.job(job)],
      ],
      title: 'Quarantine',
    }),
    filterForm(view, job, filters),
    result,
    slot,
  );
  const ask = (after) =>
    get(path(['jobs', job, 'quarantine'], { ...filters, after, limit: pageRows }), { signal: view.signal });
  await load(
    view,
    slot,
    () => ask(),
    (answer) => list(view, job, filters, ask, result, answer),
    10,
  );
}

function filterForm(view, job, filters) {
  const state = el(
    'select',
    { id: 'filter-state', name: 'state', test: 'filter-state' },
    [
      ['', 'any'],
      ['open', 'open'],
      ['replayed', 'replayed'],
      ['discarded', 'discarded'],
    ].map(([value, text]) => el('option', { value, selected: value === filters.state }, text)),
  );
  const text = (name, label, example, extra = {}) =>
    el(
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
  const apply = () => {
    const wanted = {};
    for (const name of filterNames) {
      const value = form.elements.namedItem(name).value.trim();
      if (value !== '') {
        wanted[name] = value;
      }
    }
    view.go(addressOf.quarantine(job, wanted));
  };
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (form.reportValidity()) {
      apply();
    }
  });
  state.addEventListener('change', apply);
  return form;
}

function list(view, job, filters, ask, result, answer) {
  const isFiltered = filterNames.some(
    (name) => filters[name] !== '' && !(name === 'state' && filters.state === 'open'),
  );
  if (answer.rows.length === 0) {
    return isFiltered
      ? empty('No row fits these filters', 'Take some of them away.', [
          link(addressOf.quarantine(job), 'Clear filters', { kind: 'button' }),
        ])
      : empty(
          filters.state === 'open' ? 'No row waits for a decision' : 'No row was ever refused',
          'Rows that cannot be loaded appear here with their place and every reason.',
        );
  }
  const shown = new Map();
  const choice = chooser(shown, () => table.element, act);
  const table = dataTable({
    caption: `Refused rows of ${writtenOut(job)}`,
    test: 'quarantine',
    key: (row) => row.quarantine_id,
    row: {
      test: 'quarantine-row',
      prepare: (node, row) => {
        node.dataset.id = row.quarantine_id;
        node.dataset.state = row.state;
        opens(node);
      },
    },
    columns: [
      { label: 'Choose', kind: 'choice', head: choice.all, cell: choice.box },
      {
        label: 'Row',
        kind: 'main',
        cell: (row) =>
          link(`?open=${row.quarantine_id}`, `#${row.quarantine_id}`, {
            test: 'quarantine-open',
            kind: 'strong entry-link',
          }),
      },
      { label: 'State', cell: (row) => stateBadge(row.state, 'quarantine-state') },
      { label: 'Reasons', cell: reasonsOf },
      { label: 'Stage', cell: (row) => plainName(row.stage) },
      { label: 'File', cell: (row) => el('bdi', { class: 'mono break' }, plainName(row.file)) },
      { label: 'Row in file', kind: 'number', cell: (row) => count(row.row_number) },
      { label: 'Run', kind: 'number', cell: (row) => link(addressOf.run(row.run_id, job), String(row.run_id)) },
      { label: 'Since', cell: (row) => when(row.created_at) },
    ],
  });
  const total = el('span', { class: 'muted', test: 'quarantine-total' });
  const more = moreButton({
    test: 'quarantine-more',
    load: async (after) => {
      try {
        add(await ask(after));
      } catch (error) {
        toast('bad', `${explain(asProblem(error)).title}. No further rows could be shown.`);
      }
    },
  });

  function add(page) {
    for (const row of page.rows) {
      shown.set(row.quarantine_id, row);
    }
    table.add(page.rows);
    more.offer(page.next_after);
    setText(total, `${count(shown.size)} of ${plural(page.total, 'row')}`);
    choice.refresh();
  }

  async function act(what) {
    const done = await settle(job, what, choice.ids());
    if (done) {
      tellResult(result, done);
      await again();
    }
  }

  async function again() {
    try {
      const fresh = await ask();
      if (fresh.rows.length === 0) {
        place.replaceWith(list(view, job, filters, ask, result, fresh));
        return;
      }
      shown.clear();
      choice.clear();
      table.set(fresh.rows);
      add(fresh);
    } catch (error) {
      if (!view.signal.aborted) {
        const reload = () => view.go(location.pathname + location.search);
        place.replaceWith(errorState(asProblem(error), reload, view.signal));
      }
    }
  }

  function open(id) {
    openEntry(view, job, id, {
      settled: async (done) => {
        tellResult(result, done);
        await again();
      },
    });
  }

  table.element.addEventListener('click', (event) => {
    const anchored = event.target.closest('a.entry-link');
    if (anchored && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      open(anchored.closest('tr').dataset.id);
    }
  });
  add(answer);
  if (view.query.has('open')) {
    queueMicrotask(() => open(view.query.get('open')));
  }
  const place = el(
    'div',
    { class: 'card flush' },
    el('div', { class: 'list-head' }, choice.bar, total),
    table.element,
    more.element,
  );
  return place;
}

// Which open rows are chosen, and the buttons that act on them; act('replay' | 'discard').
function chooser(shown, tableElement, act) {
  const chosen = new Set();
  let anchor = null;
  const all = el('input', {
    type: 'checkbox',
    'aria-label': 'Choose all open rows shown',
    test: 'choose-all',
    on: { change: () => mark([...shown.keys()], all.checked) },
  });
  const told = el('span', { role: 'status', test: 'chosen-count' });
  const replay = button('Replay', { kind: 'primary', sign: 'turn', test: 'replay', onClick: () => act('replay') });
  const discard = button('Discard', { kind: 'danger', sign: 'cross', test: 'discard', onClick: () => act('discard') });
  const bar = el(
    'div',
    { class: 'choice-bar', role: 'group', 'aria-label': 'What to do with the chosen rows', test: 'choice-bar' },
    told,
    el('div', { class: 'actions' }, replay, discard),
  );

  // With the shift key, everything between the last box and this one.
  function box(row) {
    const id = row.quarantine_id;
    const node = el('input', {
      type: 'checkbox',
      'aria-label': `Choose row #${id}`,
      disabled: row.state !== 'open',
      test: 'choose',
    });
    node.checked = chosen.has(id);
    node.addEventListener('click', (event) => {
      const ids = [...shown.keys()];
      const ends = [ids.indexOf(event.shiftKey && anchor !== null ? anchor : id), ids.indexOf(id)];
      anchor = id;
      mark(ids.slice(Math.min(...ends), Math.max(...ends) + 1), node.checked);
    });
    return node;
  }

  function mark(ids, isWanted) {
    for (const id of ids) {
      if (!isWanted) {
        chosen.delete(id);
      } else if (shown.get(id).state === 'open' && chosen.size < idsMax) {
        chosen.add(id);
      }
    }
    refresh();
  }

  function refresh() {
    for (const node of tableElement().querySelectorAll('tr[data-id]')) {
      const isChosen = chosen.has(Number(node.dataset.id));
      node.querySelector('input').checked = isChosen;
      node.classList.toggle('chosen', isChosen);
    }
    const open = [...shown.values()].filter((row) => row.state === 'open').length;
    all.checked = open > 0 && chosen.size === open;
    all.indeterminate = chosen.size > 0 && chosen.size < open;
    all.disabled = open === 0;
    replay.disabled = chosen.size === 0;
    discard.disabled = chosen.size === 0;
    const most = chosen.size === idsMax ? ', the most at once' : '';
    setText(
      told,
      chosen.size === 0 ? 'Choose open rows to replay or discard them' : `${plural(chosen.size, 'row')} chosen${most}`,
    );
  }

  return { all, bar, box, refresh, ids: () => [...chosen], clear: () => chosen.clear() };
}

function reasonsOf(row) {
  const reasons = row.reasons.length > 0 ? row.reasons : [{ code: row.code, column: row.column }];
  return el(
    'ul',
    { class: 'reasons' },
    reasons
      .slice(0, 3)
      .map((reason) =>
        el(
          'li',
          {},
          el('span', { class: 'mono' }, plainName(reason.code)),
          reason.column ? el('span', { class: 'muted' }, ' ', plainName(reason.column)) : null,
        ),
      ),
    reasons.length > 3 ? el('li', { class: 'muted' }, `and ${reasons.length - 3} more`) : null,
  );
}

function tellResult(place, { kind, text }) {
  replace(place, el('div', { class: `notice ${kind}`, 'data-kind': kind }, text));
  announce(text, true);
}
