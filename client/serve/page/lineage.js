// The page of a table's schema, and of the way each of its columns comes from the source.

import { path } from './api.js';
import { lineageDrawing } from './drawing.js';
import { addressOf } from './jobs.js';
import { duration, writtenOut } from './format.js';
import { badge, el, facts, link, section } from './ui.js';
import { empty } from './states.js';
import { dataTable } from './table.js';
import { loadTable } from './tables.js';
import { piiSign, plainName } from './values.js';

export async function show(view) {
  const { table } = view.params;
  view.title(`Lineage of ${table}`);
  const lineage = path(['tables', table, 'lineage']);
  await loadTable(view, 'lineage', lineage, (schema, answer) => page(view, schema, answer));
}

function page(view, schema, lineage) {
  const isNothing = lineage.columns.length === 0 && lineage.dropped.length === 0;
  return [
    facts([
      ['Job', link(addressOf.job(schema.job), plainName(schema.job))],
      ['Key', el('span', { class: 'mono' }, plainName(schema.key.join(', ')))],
      ['Cache', schema.cache_ttl_seconds === null ? 'no' : `Redis, ${duration(schema.cache_ttl_seconds)}`],
    ]),
    section(
      'Lineage',
      { test: 'lineage', beside: el('span', { class: 'muted small' }, 'source column → stages → target column') },
      isNothing
        ? empty('The way of the columns is not known', 'It is told by the job file; start a run, then come back.')
        : lineageDrawing(lineage, view.signal),
    ),
    section('Schema', { test: 'schema', kind: 'flush' }, schemaTable(schema)),
  ];
}

function schemaTable(schema) {
  const table = dataTable({
    caption: `Columns of ${writtenOut(schema.table)}`,
    test: 'schema-table',
    key: (column) => column.name,
    row: { test: 'schema-row' },
    columns: [
      { label: 'Column', kind: 'main', cell: (column) => el('bdi', { class: 'mono strong' }, plainName(column.name)) },
      { label: 'Type', cell: (column) => el('span', { class: 'mono' }, plainName(column.type)) },
      {
        label: 'Key',
        cell: (column) => (column.is_key ? badge('plain', 'key', 'key') : el('span', { class: 'muted' }, '–')),
      },
      { label: 'NULL', cell: (column) => (column.nullable ? 'allowed' : el('span', { class: 'muted' }, 'no')) },
      {
        label: 'Personal data',
        cell: (column) => (column.pii ? piiSign(column.pii) : el('span', { class: 'muted' }, '–')),
      },
    ],
  });
  table.set(schema.columns);
  return table.element;
}
