// The page of all tables that may be looked into.

import { get, path } from './api.js';
import { addressOf } from './jobs.js';
import { count, writtenOut } from './format.js';
import { badge, el, link, pageHead, replace, section } from './ui.js';
import { empty, load } from './states.js';
import { dataTable } from './table.js';
import { unaskedNotice } from './unasked.js';
import { plain, plainName } from './values.js';

export async function show(view) {
  view.title('Tables');
  const slot = el('div', {});
  replace(view.main, pageHead({ title: 'Tables' }), slot);
  await load(view, slot, () => get(path(['tables']), { signal: view.signal }), list, 5);
}

function list(answer) {
  const unasked = answer.unavailable ?? [];
  return [
    unaskedNotice(unasked).element,
    answer.tables.length === 0
      ? nothing(unasked.length > 0)
      : el('div', { class: 'card flush' }, served(answer.tables)),
    answer.skipped.length > 0
      ? section('Not served', { test: 'skipped', kind: 'flush' }, skipped(answer.skipped))
      : null,
  ];
}

function nothing(isIncomplete) {
  const [title, text] = isIncomplete
    ? ['No table can be shown', 'Reload this page once the databases of the jobs above answer again.']
    : [
        'No table is served',
        'A target is served once its job has loaded it, unless it says serve = false. Start a run first.',
      ];
  return empty(title, text, [link('/', 'Go to jobs', { kind: 'button' })]);
}

function served(tables) {
  const table = dataTable({
    caption: 'Tables that are served',
    test: 'tables',
    key: (one) => `${one.job} ${one.table}`,
    row: { test: 'table-row', data: (one) => ({ table: one.table }), opens: true },
    columns: [
      {
        label: 'Table',
        kind: 'main',
        cell: (one) => link(addressOf.table(one.table), plainName(one.table), { kind: 'strong', test: 'table-link' }),
      },
      { label: 'Job', cell: (one) => link(addressOf.job(one.job), plainName(one.job)) },
      { label: 'Key', cell: (one) => el('span', { class: 'mono' }, plainName(one.key.join(', '))) },
      { label: 'Columns', kind: 'number', cell: (one) => count(one.columns) },
      { label: 'Rows, about', kind: 'number', cell: (one) => count(one.approximate_rows) },
      {
        label: 'Cache',
        cell: (one) => (one.cache ? badge('plain', 'bolt', 'Redis') : el('span', { class: 'muted' }, 'no')),
      },
      {
        label: 'Origin',
        cell: (one) => link(`${addressOf.table(one.table)}/lineage`, 'Schema and lineage', { test: 'lineage-link' }),
      },
    ],
  });
  table.set(tables);
  return table.element;
}

function skipped(tables) {
  const table = dataTable({
    caption: 'Tables that are not served, and why',
    test: 'skipped-tables',
    key: (one) => `${one.job} ${one.table}`,
    columns: [
      { label: 'Table', kind: 'main', cell: (one) => plainName(one.table) },
      { label: 'Job', cell: (one) => link(addressOf.job(one.job), plainName(one.job)) },
      { label: 'Why', cell: (one) => plain(one.reason) },
    ],
  });
  table.set(tables);
  return table.element;
}

// Shows a page of a table: its head at once, then what render(schema, answer) makes of what was asked for.
export async function loadTable(view, current, address, render) {
  const { table } = view.params;
  const slot = el('div', {});
  replace(view.main, tableHead(table, current), slot);
  const ask = () =>
    Promise.all([get(path(['tables', table]), { signal: view.signal }), get(address, { signal: view.signal })]);
  await load(view, slot, ask, ([schema, answer]) => render(schema, answer), 12);
}

// The head of the two pages of a table.
function tableHead(table, current) {
  const tab = (href, text, name) =>
    el('a', { href, test: `tab-${name}`, 'aria-current': current === name ? 'page' : null }, text);
  return [
    pageHead({ trail: [['Tables', '/ui/tables']], title: plainName(table) }),
    el(
      'nav',
      { class: 'tabs', 'aria-label': `Pages of ${writtenOut(table)}` },
      tab(addressOf.table(table), 'Records', 'records'),
      tab(`${addressOf.table(table)}/lineage`, 'Schema and lineage', 'lineage'),
    ),
  ];
}
