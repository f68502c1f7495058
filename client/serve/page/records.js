// The page of a table's records, by the order of its key; one of them opens beside the list.

import { path } from './api.js';
import { openRecord } from './record.js';
import { count, writtenOut } from './format.js';
import { icon } from './icons.js';
import { el, setText } from './ui.js';
import { empty } from './states.js';
import { dataTable, pager } from './table.js';
import { loadTable } from './tables.js';
import { piiSign, plainName, readableKey, valueNode } from './values.js';
import { addressOf } from './jobs.js';

const pageRows = 50;

export async function show(view) {
  const { table } = view.params;
  const after = view.query.get('after') ?? '';
  view.title(table);
  const records = path(['tables', table, 'records'], { after, limit: pageRows });
  await loadTable(view, 'records', records, (schema, page) => list(view, schema, page));
}

function list(view, schema, page) {
  const { table } = schema;
  const open = (key) => {
    view.remember({ key });
    openRecord(view, schema, key, { onClose: () => view.remember({ key: null }) });
  };
  if (view.query.has('key')) {
    const key = view.query.get('key');
    queueMicrotask(() => open(key));
  }
  const hidden = schema.columns.filter((column) => column.pii);
  const head = el(
    'div',
    { class: 'list-head' },
    finder(schema, open),
    hidden.length > 0
      ? el(
          'p',
          { class: 'muted small legend', test: 'pii-legend' },
          icon('lock'),
          ` ${hidden.length === 1 ? 'One column holds' : `${hidden.length} columns hold`} pseudonyms in place of personal data; the values themselves are not in this database.`,
        )
      : null,
  );
  if (page.records.length === 0) {
    return el(
      'div',
      { class: 'card flush' },
      head,
      view.query.has('after')
        ? empty('The table ends here', 'There are no records after this place.', [
            el('a', { class: 'button', href: addressOf.table(table) }, 'First page'),
          ])
        : empty('This table is empty', `Start a run of ${writtenOut(schema.job)}, then come back.`, [
            el('a', { class: 'button', href: addressOf.job(schema.job) }, `Go to ${writtenOut(schema.job)}`),
          ]),
    );
  }
  const numbers = new Set(['smallint', 'integer', 'bigint', 'real', 'double precision']);
  const grid = dataTable({
    caption: `Records of ${writtenOut(table)}`,
    kind: 'scroll',
    test: 'records',
    key: (record) => record.key,
    row: { test: 'record-row', data: (record) => ({ key: record.key }), opens: true },
    columns: [
      {
        label: 'Key',
        kind: 'main sticky',
        head: 'Record',
        cell: (record) =>
          el(
            'a',
            {
              class: 'strong record-link',
              href: `?key=${encodeURIComponent(record.key)}`,
              test: 'record-link',
              title: 'Open this record',
            },
            el('bdi', {}, plainName(readableKey(record.key))),
          ),
      },
      ...schema.columns
        .filter((column) => !(column.is_key && schema.key.length === 1))
        .map((column) => ({
          label: column.name,
          kind: numbers.has(column.type) && !column.pii ? 'number' : 'text',
          head: el(
            'span',
            { class: 'column-head' },
            el('bdi', {}, plainName(column.name)),
            el('span', { class: 'column-type' }, column.pii ? piiSign(column.pii) : null, plainName(column.type)),
          ),
          cell: (record) => valueNode(record.record[column.name], column),
        })),
    ],
  });
  grid.set(page.records);
  grid.element.addEventListener('click', (event) => {
    const anchor = event.target.closest('a.record-link');
    if (anchor && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      open(anchor.closest('tr').dataset.key);
    }
  });
  const address = (next) => `${addressOf.table(table)}${next ? `?after=${encodeURIComponent(next)}` : ''}`;
  return el(
    'div',
    { class: 'card flush' },
    head,
    grid.element,
    pager({
      test: 'records-pager',
      text: `${count(page.records.length)} records shown`,
      first: view.query.has('after') ? address('') : null,
      next: page.next ? address(page.next) : null,
    }),
  );
}

// Looks one record up by its key, whether it is on this page or not.
function finder(schema, open) {
  const fields = schema.key.map((name, index) =>
    el('input', {
      id: `find-${index}`,
      name: `key-${index}`,
      'aria-label': writtenOut(name),
      placeholder: writtenOut(name),
      required: true,
      maxlength: '1024',
      autocomplete: 'off',
      spellcheck: 'false',
      test: 'find-key',
    }),
  );
  const wrong = el('span', { class: 'bad-text small', role: 'alert' });
  const form = el(
    'form',
    {
      class: 'finder',
      role: 'search',
      'aria-label': `Find a record of ${writtenOut(schema.table)} by its key`,
      test: 'find-record',
      novalidate: '',
    },
    fields,
    el('button', { type: 'submit', test: 'find-submit' }, 'Find'),
    wrong,
  );
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const empties = fields.filter((field) => field.value === '');
    setText(wrong, empties.length > 0 ? 'Give the whole key.' : '');
    if (empties.length > 0) {
      empties[0].focus();
      return;
    }
    open(fields.map((field) => encodeURIComponent(field.value)).join(','));
  });
  return form;
}
