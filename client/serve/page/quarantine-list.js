// The list of refused rows of a job: its table, further pages, one row beside it, and what became of those that were settled.
//
// page is what show() of quarantine.js knows: view, job, filters, ask(after) and the place for results.

import { toast } from './dialogs.js';
import { openEntry, settle } from './entry.js';
import { addressOf } from './jobs.js';
import { chooser } from './quarantine-choice.js';
import { isNarrowed } from './quarantine-filters.js';
import { count, plural, writtenOut } from './format.js';
import { announce, el, link, replace, setText, stateBadge, when } from './ui.js';
import { asProblem, empty, errorState, explain } from './states.js';
import { dataTable, moreButton } from './table.js';
import { plainName } from './values.js';

export const pageRows = 50;

export function list(page, answer) {
  if (answer.rows.length === 0) {
    return nothing(page);
  }
  const shown = new Map();
  const choice = chooser(shown, () => table.element, act);
  const table = rowTable(page.job, choice);
  const total = el('span', { class: 'muted', test: 'quarantine-total' });
  const more = moreButton({ test: 'quarantine-more', load: addFurther });
  const place = el(
    'div',
    { class: 'card flush' },
    el('div', { class: 'list-head' }, choice.bar, total),
    table.element,
    more.element,
  );

  function add({ rows, total: all, next_after: next }) {
    for (const row of rows) {
      shown.set(row.quarantine_id, row);
    }
    table.add(rows);
    more.offer(next);
    setText(total, `${count(shown.size)} of ${plural(all, 'row')}`);
    choice.refresh();
  }

  async function addFurther(after) {
    try {
      add(await page.ask(after));
    } catch (error) {
      toast('bad', `${explain(asProblem(error)).title}. No further rows could be shown.`);
    }
  }

  async function act(what) {
    const done = await settle(page.job, what, choice.ids());
    if (done) {
      await showSettled(done);
    }
  }

  async function showSettled(done) {
    tellResult(page.result, done);
    try {
      const fresh = await page.ask();
      if (fresh.rows.length === 0) {
        place.replaceWith(list(page, fresh));
        return;
      }
      shown.clear();
      choice.clear();
      table.set(fresh.rows);
      add(fresh);
    } catch (error) {
      if (!page.view.signal.aborted) {
        place.replaceWith(errorState(asProblem(error), () => reload(page.view), page.view.signal));
      }
    }
  }

  add(answer);
  openBeside(page, table.element, showSettled);
  return place;
}

function reload(view) {
  view.go(location.pathname + location.search);
}

function nothing({ job, filters }) {
  if (isNarrowed(filters)) {
    return empty('No row fits these filters', 'Take some of them away.', [
      link(addressOf.quarantine(job), 'Clear filters', { kind: 'button' }),
    ]);
  }
  return empty(
    filters.state === 'open' ? 'No row waits for a decision' : 'No row was ever refused',
    'Rows that cannot be loaded appear here with their place and every reason.',
  );
}

function rowTable(job, choice) {
  return dataTable({
    caption: `Refused rows of ${writtenOut(job)}`,
    test: 'quarantine',
    key: (row) => row.quarantine_id,
    row: { test: 'quarantine-row', data: (row) => ({ id: row.quarantine_id, state: row.state }), opens: true },
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

// Opens the row that the address names, and those that are clicked, beside the list.
function openBeside({ view, job }, element, settled) {
  const open = (id) => openEntry(view, job, id, { settled });
  element.addEventListener('click', (event) => {
    const anchored = event.target.closest('a.entry-link');
    if (anchored && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      open(anchored.closest('tr').dataset.id);
    }
  });
  if (view.query.has('open')) {
    queueMicrotask(() => open(view.query.get('open')));
  }
}

function tellResult(place, { kind, text }) {
  replace(place, el('div', { class: `notice ${kind}`, 'data-kind': kind }, text));
  announce(text, true);
}
