// The page of one job: where its rows go, its runs, its files.

import { get, path } from './api.js';
import { addressOf, errorText, isAtWork, startButton, stateOf } from './jobs.js';
import { bytes, count, writtenOut } from './format.js';
import { badge, el, facts, link, pageHead, replace, section, when } from './ui.js';
import { asProblem, empty, errorState, load, poll } from './states.js';
import { dataTable, moreButton, number } from './table.js';
import { runColumns } from './runs.js';
import { plainName } from './values.js';

const pageRows = 25;

export async function show(view) {
  const name = view.params.job;
  view.title(name);
  const slot = el('div', {});
  replace(view.main, slot);
  await load(
    view,
    slot,
    () => get(path(['jobs', name]), { signal: view.signal }),
    (job) => page(view, job),
    8,
  );
}

function page(view, job) {
  const top = el('div', {});
  const head = (fresh) =>
    replace(
      top,
      pageHead({
        trail: [['Jobs', '/']],
        title: plainName(fresh.name),
        beside: el('div', { class: 'state-line' }, stateOf(fresh)),
        actions: [startButton(fresh, () => refresh.now())],
      }),
      facts([
        ['Source', el('bdi', { class: 'mono' }, plainName(fresh.source_url))],
        ['Dataset', plainName(fresh.dataset)],
        [
          'In quarantine',
          fresh.open_quarantine > 0
            ? link(addressOf.quarantine(fresh.name, { state: 'open' }), `${count(fresh.open_quarantine)} open`, {
                test: 'open-quarantine',
              })
            : `${count(fresh.open_quarantine)} open`,
        ],
      ]),
    );
  const runs = runsOf(view, job.name);
  const files = filesOf(view, job.name);
  let seen = JSON.stringify(job);
  const refresh = poll(view, isAtWork(job) ? 1.5 : 8, async () => {
    const fresh = await get(path(['jobs', job.name]), { signal: view.signal });
    const now = JSON.stringify(fresh);
    if (now !== seen) {
      seen = now;
      const focused = top.contains(document.activeElement) ? document.activeElement.dataset.test : null;
      head(fresh);
      if (focused) {
        top.querySelector(`[data-test="${CSS.escape(focused)}"]`)?.focus();
      }
      await Promise.all([runs.refresh(), files.refresh()]);
    }
    return isAtWork(fresh) ? 1.5 : 8;
  });
  head(job);
  return [
    top,
    section(
      'Runs',
      { test: 'job-runs', kind: 'flush', beside: link(`/ui/runs?job=${encodeURIComponent(job.name)}`, 'All runs') },
      runs.element,
    ),
    section('Tables', { test: 'job-targets', kind: 'flush' }, targetsOf(job)),
    section('Files and pages', { test: 'job-files', kind: 'flush' }, files.element),
  ];
}

function targetsOf(job) {
  const table = dataTable({
    caption: `Tables that ${writtenOut(job.name)} loads`,
    test: 'targets',
    key: (target) => target.table,
    columns: [
      {
        label: 'Table',
        kind: 'main',
        cell: (target) =>
          target.served
            ? link(addressOf.table(target.table), plainName(target.table), { kind: 'strong', test: 'target-link' })
            : el('strong', {}, plainName(target.table)),
      },
      { label: 'Mode', cell: (target) => target.mode },
      {
        label: 'Key',
        cell: (target) =>
          target.key.length > 0
            ? el('span', { class: 'mono' }, plainName(target.key.join(', ')))
            : el('span', { class: 'muted' }, 'none'),
      },
      {
        label: 'Cache',
        cell: (target) => (target.cache ? badge('plain', 'bolt', 'Redis') : el('span', { class: 'muted' }, 'no')),
      },
      { label: 'Served', cell: (target) => (target.served ? 'yes' : el('span', { class: 'muted' }, 'no')) },
    ],
  });
  table.set(job.targets);
  return table.element;
}

function runsOf(view, job) {
  const table = dataTable({
    caption: `Runs of ${writtenOut(job)}`,
    test: 'runs',
    key: (run) => run.run_id,
    row: { test: 'run-row' },
    columns: runColumns(false),
  });
  return listed(view, {
    table,
    test: 'runs-more',
    nothing: () => empty('No run yet', 'Start the first one with the button above, or with ferry-client run.'),
    ask: async (before) => {
      const answer = await get(path(['jobs', job, 'runs'], { before, limit: pageRows }), { signal: view.signal });
      return { items: answer.runs, next: answer.next_before };
    },
  });
}

function filesOf(view, job) {
  const table = dataTable({
    caption: `Files and pages of ${writtenOut(job)}`,
    test: 'files',
    key: (file) => `${file.dataset}/${file.name}`,
    row: { test: 'file-row' },
    columns: [
      {
        label: 'Name',
        kind: 'main',
        cell: (file) => [
          el('bdi', { class: 'mono break' }, plainName(file.name)),
          file.is_page ? el('span', { class: 'muted small' }, ' page') : null,
          file.problem ? errorText({ code: file.problem.reason, message: file.problem.message }) : null,
        ],
      },
      { label: 'Size', kind: 'number', cell: (file) => bytes(file.size_bytes) },
      { label: 'Rows', kind: 'number', cell: (file) => number(file.planned_rows) },
      { label: 'Loaded', kind: 'number', cell: (file) => number(file.loaded) },
      { label: 'Quarantined', kind: 'number', cell: (file) => number(file.quarantined, 'warn-text') },
      { label: 'Filtered', kind: 'number', cell: (file) => number(file.filtered) },
      { label: 'Left', kind: 'number', cell: (file) => number(file.rows_left, 'accent-text') },
      { label: 'Last commit', cell: (file) => when(file.last_commit_at) },
    ],
  });
  return listed(view, {
    table,
    test: 'files-more',
    nothing: () => empty('No file is known yet', 'The first run asks the source host what there is.'),
    ask: async (after) => {
      const answer = await get(path(['jobs', job, 'files'], { after, limit: pageRows }), { signal: view.signal });
      return { items: answer.files, next: answer.next_after };
    },
  });
}

// A table that is filled page by page; a refresh reads the first page anew and keeps what was added below.
export function listed(view, { table, test, nothing, ask }) {
  const more = moreButton({
    test,
    load: async (next) => {
      try {
        const answer = await ask(next);
        items = [...items, ...answer.items];
        table.add(answer.items);
        more.offer(answer.next);
      } catch (error) {
        if (!view.signal.aborted) {
          replace(trouble, errorState(asProblem(error)));
        }
      }
    },
  });
  const trouble = el('div', {});
  const slot = el('div', {});
  const element = el('div', {}, slot, trouble);
  let items = [];

  function fill(answer) {
    const kept = items.filter((item) => !answer.items.some((fresh) => table.keyOf(fresh) === table.keyOf(item)));
    items = [...answer.items, ...kept];
    table.set(items);
    if (kept.length === 0) {
      more.offer(answer.next);
    }
    return items.length === 0 ? nothing() : [table.element, more.element];
  }

  load(view, slot, () => ask(), fill, 3);
  return {
    element,
    async refresh() {
      const wasEmpty = items.length === 0;
      const shown = fill(await ask());
      if (wasEmpty) {
        replace(slot, shown);
      }
    },
  };
}
