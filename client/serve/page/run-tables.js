// The tables of the page of a run: why rows were refused, its files and pages, its workers.

import { addressOf } from './jobs.js';
import { count, plural } from './format.js';
import { badge, el, link, replace, when } from './ui.js';
import { dataTable, number } from './table.js';
import { plainName } from './values.js';

// Each in a place of its own, which says so while there is nothing in it.
export function tablesOf(run) {
  const rejects = filled(rejectTable(run), 'No row was refused.');
  const files = filled(fileTable(), 'No file is planned yet.');
  const workers = filled(workerTable(), 'No worker has joined yet.');
  return {
    rejects: rejects.element,
    files: files.element,
    workers: workers.element,
    update(fresh) {
      rejects.set(fresh.rejects ?? []);
      files.set(fresh.files ?? []);
      workers.set(fresh.workers_list ?? []);
    },
  };
}

function filled(table, nothing) {
  const words = el('p', { class: 'empty small-empty' }, nothing);
  const element = el('div', {});
  return {
    element,
    set(items) {
      table.set(items);
      const wanted = items.length === 0 ? words : table.element;
      if (element.firstElementChild !== wanted) {
        replace(element, wanted);
      }
    },
  };
}

function rejectTable(run) {
  return dataTable({
    caption: 'Refused rows by reason',
    test: 'rejects',
    key: (reject) => `${reject.code} ${reject.column ?? ''}`,
    columns: [
      {
        label: 'Reason',
        kind: 'main',
        cell: (reject) =>
          link(
            addressOf.quarantine(run.job, {
              run: run.run_id,
              code: reject.code,
              ...(reject.column ? { column: reject.column } : {}),
            }),
            el('span', { class: 'mono' }, plainName(reject.code)),
            { test: 'reject-link' },
          ),
      },
      { label: 'Column', cell: (reject) => el('span', { class: 'mono' }, plainName(reject.column ?? '–')) },
      { label: 'Rows', kind: 'number', cell: (reject) => count(reject.count) },
    ],
  });
}

function fileTable() {
  return dataTable({
    caption: 'Files and pages of this run',
    test: 'run-file-table',
    key: (file) => file.name,
    row: { test: 'run-file' },
    columns: [
      { label: 'Name', kind: 'main', cell: (file) => el('bdi', { class: 'mono break' }, plainName(file.name)) },
      { label: 'In source', kind: 'number', cell: (file) => count(file.rows_in_source) },
      { label: 'Read', kind: 'number', cell: (file) => count(file.read) },
      { label: 'Loaded', kind: 'number', cell: (file) => count(file.loaded) },
      { label: 'Quarantined', kind: 'number', cell: (file) => number(file.quarantined, 'warn-text') },
      { label: 'Filtered', kind: 'number', cell: (file) => count(file.filtered) },
      { label: 'Splits', kind: 'number', cell: (file) => `${count(file.splits_done)} / ${count(file.splits_total)}` },
      { label: 'Accounts', cell: (file) => closing(file) },
    ],
  });
}

// Whether the accounts of one file close: every row read is loaded, quarantined or filtered.
function closing(file) {
  const open = Number(file.read) - Number(file.loaded) - Number(file.quarantined) - Number(file.filtered);
  return open === 0 ? badge('good', 'check', 'close') : badge('bad', 'warn', `${plural(Math.abs(open), 'row')} apart`);
}

function workerTable() {
  return dataTable({
    caption: 'Workers of this run',
    test: 'run-worker-table',
    key: (worker) => `${worker.host} ${worker.process_id} ${worker.joined_at}`,
    columns: [
      { label: 'Host', kind: 'main', cell: (worker) => el('bdi', {}, plainName(worker.host)) },
      { label: 'Process', kind: 'number', cell: (worker) => String(worker.process_id) },
      { label: 'State', cell: stateOf },
      { label: 'Joined', cell: (worker) => when(worker.joined_at) },
      { label: 'Left', cell: (worker) => when(worker.left_at) },
      { label: 'Commits', kind: 'number', cell: (worker) => count(worker.commits) },
      { label: 'Rows', kind: 'number', cell: (worker) => count(worker.rows) },
    ],
  });
}

function stateOf(worker) {
  if (worker.is_alive) {
    return badge('accent', 'play', 'working');
  }
  return worker.left_at ? badge('plain', 'check', 'left') : badge('warn', 'warn', 'silent');
}
