// Opens one refused row beside the list (its place, every reason, the record as it is kept), and settles rows.

import { get, path, post } from './api.js';
import { confirm, drawer, toast } from './dialogs.js';
import { addressOf } from './jobs.js';
import { count, plural } from './format.js';
import { button, copyButton, el, facts, link, replace, stateBadge, when } from './ui.js';
import { asProblem, errorState, explain, loading } from './states.js';
import { looksHidden, plainName, valueNode } from './values.js';

// settled(result) is called after the row was replayed or discarded here.
export async function openEntry(view, job, id, { settled }) {
  view.remember({ open: id });
  const panel = drawer({ title: `Refused row #${id}`, test: 'entry', onClose: () => view.remember({ open: null }) });
  const fill = async () => {
    panel.show(loading(8));
    try {
      const [entry, hidden] = await Promise.all([
        get(path(['jobs', job, 'quarantine', id]), { signal: view.signal }),
        hiddenColumns(job, view.signal),
      ]);
      panel.show(
        content(job, entry, hidden),
        entry.state === 'open' ? actions(job, entry, panel, view, settled) : null,
      );
    } catch (error) {
      if (!view.signal.aborted) {
        panel.show(errorState(asProblem(error), fill, view.signal));
      }
    }
  };
  await fill();
}

// Asks, then does it; the result as { kind, text }, or null if nothing was done.
export async function settle(job, what, ids) {
  const rows = plural(ids.length, 'row');
  const words =
    what === 'replay'
      ? {
          title: `Replay ${rows}?`,
          text: 'The rows are read from the source again and take the whole way by the rules that the job has now. What is refused again stays open.',
          action: `Replay ${rows}`,
          kind: 'primary',
          test: 'confirm-replay',
        }
      : {
          title: `Discard ${rows}?`,
          text: 'These rows will never be loaded. This cannot be taken back.',
          action: `Discard ${rows}`,
          kind: 'danger primary',
          test: 'confirm-discard',
        };
  if (!(await confirm(words))) {
    return null;
  }
  try {
    // Ids come from the address or a row: the server wants numbers.
    const answer = await post(path(['jobs', job, 'quarantine', what]), { ids: ids.map(Number) });
    return what === 'replay'
      ? replayed(answer)
      : { kind: 'good', text: `${plural(answer.discarded, 'row')} discarded.` };
  } catch (error) {
    if (error.status === 401) {
      return null;
    }
    const { title, text } = explain(asProblem(error));
    toast('bad', `${title}. ${text}`);
    return null;
  }
}

function replayed(answer) {
  const told = [
    ['loaded', 'loaded'],
    ['filtered', 'filtered'],
    ['refused', 'refused again'],
    ['not_a_record', 'no longer a record'],
    ['unread', 'could not be read'],
  ]
    .filter(([name]) => Number(answer[name]) > 0)
    .map(([name, words]) => `${count(answer[name])} ${words}`);
  const isWhole = !(Number(answer.refused) > 0 || Number(answer.unread) > 0 || Number(answer.not_a_record) > 0);
  return {
    kind: isWhole ? 'good' : 'warn',
    text: told.length > 0 ? `Replayed: ${told.join(', ')}.` : 'Nothing was replayed: the rows were not open any more.',
  };
}

function content(job, entry, hidden) {
  const reasons = entry.reasons.length > 0 ? entry.reasons : [{ code: entry.code, column: entry.column }];
  const fields = entry.record === null ? [] : Object.entries(entry.record);
  const blamed = new Set(reasons.map((reason) => reason.column));
  return [
    facts(
      [
        ['State', [stateBadge(entry.state, 'entry-state'), entry.settled_at ? [' ', when(entry.settled_at)] : null]],
        ['Stage', plainName(entry.stage)],
        ['Constraint', entry.constraint ? el('span', { class: 'mono' }, plainName(entry.constraint)) : '–'],
        ['Run', link(addressOf.run(entry.run_id, job), `Run ${entry.run_id}`)],
        ['Refused', when(entry.created_at)],
      ],
      'facts grid',
    ),
    el('h3', {}, 'Reasons'),
    el(
      'ul',
      { class: 'reasons plain', test: 'entry-reasons' },
      reasons.map((reason) =>
        el(
          'li',
          {},
          el('span', { class: 'mono bad-text' }, plainName(reason.code)),
          reason.column
            ? [' in ', el('span', { class: 'mono' }, plainName(reason.column))]
            : el('span', { class: 'muted' }, ' of the whole record'),
        ),
      ),
    ),
    el('h3', {}, 'Place'),
    facts(
      [
        ['File', el('bdi', { class: 'mono break' }, plainName(entry.file))],
        ['Row', count(entry.row_number), 'entry-row-number'],
        ['Bytes', `${count(entry.byte_start)} – ${count(entry.byte_end)}`],
      ],
      'facts grid',
    ),
    rawCommand(entry),
    el('h3', {}, 'Record', el('span', { class: 'muted plain-text' }, ' as it is kept: personal data as pseudonyms')),
    fields.length === 0
      ? el(
          'p',
          { class: 'muted', test: 'entry-record' },
          'Nothing is kept: its fields could not be told apart, and could hold personal data anywhere.',
        )
      : el(
          'table',
          { class: 'pairs', test: 'entry-record' },
          el('caption', { class: 'unseen' }, 'Fields of the record'),
          el(
            'tbody',
            {},
            fields.map(([name, value]) =>
              el(
                'tr',
                { class: blamed.has(name) ? 'blamed' : null },
                el('th', { scope: 'row' }, el('bdi', {}, plainName(name))),
                el(
                  'td',
                  {},
                  valueNode(value, { pii: hidden.get(name) ?? (looksHidden(value) ? 'hash' : null) }, { whole: true }),
                ),
              ),
            ),
          ),
        ),
  ];
}

// How somebody at the source host sees the record in the file; a fetched page lies in a spool and has no such line.
// What is copied is exact; what is shown has its hidden characters written out.
function rawCommand(entry) {
  if (entry.is_page) {
    return null;
  }
  const start = Number(entry.byte_start);
  const line = `tail -c +${start + 1} '${entry.file.replaceAll("'", "'\\''")}' | head -c ${Number(entry.byte_end) - start}`;
  return el(
    'div',
    {},
    el('p', { class: 'muted small' }, 'The raw record, for somebody on the source host:'),
    el('div', { class: 'command' }, el('pre', {}, plainName(line)), copyButton(line, 'Copy command')),
  );
}

function actions(job, entry, panel, view, settled) {
  const holder = el('div', { class: 'drawer-actions' });
  const act = async (what) => {
    const done = await settle(job, what, [entry.quarantine_id]);
    if (done) {
      panel.close();
      view.remember({ open: null });
      await settled(done);
    }
  };
  replace(
    holder,
    button('Discard', { kind: 'danger', sign: 'cross', test: 'entry-discard', onClick: () => act('discard') }),
    button('Replay', { kind: 'primary', sign: 'turn', test: 'entry-replay', onClick: () => act('replay') }),
  );
  return holder;
}

// Which source columns of the job hold pseudonyms, as far as its served tables tell.
async function hiddenColumns(job, signal) {
  const hidden = new Map();
  try {
    const { tables } = await get(path(['tables']), { signal });
    const own = tables.filter((table) => table.job === job).slice(0, 20);
    const answers = await Promise.allSettled(
      own.map((table) => get(path(['tables', table.table, 'lineage']), { signal })),
    );
    for (const answer of answers) {
      for (const column of answer.status === 'fulfilled' ? answer.value.columns : []) {
        if (column.pii) {
          for (const source of column.sources) {
            hidden.set(source, column.pii);
          }
        }
      }
    }
  } catch {
    // The sign is a help only; the values are pseudonyms with it and without it.
  }
  return hidden;
}
