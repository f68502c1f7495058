// The page of one run: live while it goes on, its history when it is over.
//
// Accounts, splits and the plot move with the events; files, reasons and workers are asked for again every few seconds.

import { get, path, Problem } from './api.js';
import { accounts } from './accounts.js';
import { rateChart, ratesOfCommits } from './chart.js';
import { followRun } from './stream.js';
import { addressOf } from './jobs.js';
import { clock, count, duration, percent, plural } from './format.js';
import { announce, badge, el, facts, link, pageHead, replace, section, setText, stateBadge, when } from './ui.js';
import { asProblem, empty, errorState, explain, load, poll, stale } from './states.js';
import { dataTable, number } from './table.js';
import { splitBars } from './splits.js';
import { plain, plainName } from './values.js';

const splitsPage = 200;

export async function show(view) {
  const id = view.params.run;
  view.title(`Run ${id}`);
  const slot = el('div', {});
  replace(view.main, slot);
  await load(
    view,
    slot,
    () => get(path(['runs', id], { job: view.query.get('job') }), { signal: view.signal }),
    (run) => page(view, run),
    10,
  );
}

function page(view, run) {
  let latest = run;
  const id = run.run_id;
  const startedAt = new Date(run.started_at).getTime();
  const head = headOf(run);
  const sums = accounts();
  const chart = rateChart({ test: 'rate-chart', label: 'Rows per second' });
  const chartNote = el('p', { class: 'muted small', test: 'chart-note' });
  const tables = tablesOf(run);
  const bars = splitBars({ loadMore: (after) => moreSplits(view, run, bars, after) });
  const splitSlot = el(
    'div',
    { class: 'split-scroll', tabindex: '0', role: 'region', 'aria-label': 'Splits, scrolls' },
    bars.element,
  );

  function update(fresh) {
    latest = fresh;
    head.update(fresh);
    sums.update(fresh.rows, fresh.state, fresh.closes);
    tables.update(fresh);
  }

  async function history() {
    try {
      const answer = await get(path(['runs', id, 'commits'], { job: run.job }), { signal: view.signal });
      const points = ratesOfCommits(answer.points, startedAt);
      chart.set(points, startedAt);
      setText(
        chartNote,
        points.length > 0
          ? ''
          : latest.state === 'running'
            ? 'Nothing was committed yet; the plot begins with the first commit.'
            : 'Nothing was committed.',
      );
    } catch (error) {
      if (!view.signal.aborted) {
        setText(chartNote, `${explain(asProblem(error)).title}: the history cannot be shown.`);
      }
    }
  }

  async function again() {
    update(await get(path(['runs', id], { job: run.job }), { signal: view.signal }));
  }

  function live() {
    // The first event of a stream has nothing to compare with: its rate is none.
    let hasRate = false;
    const stop = followRun(path(['runs', id, 'events'], { job: run.job }), {
      progress(event) {
        stale(null);
        setText(chartNote, '');
        latest = { ...latest, state: event.state, rows: event.rows, closes: undefined };
        sums.update(event.rows, event.state);
        head.progress(event);
        if (hasRate) {
          chart.add({ at: new Date(event.at).getTime(), rate: Math.max(0, Number(event.rows_per_second)) });
        }
        hasRate = true;
        bars.update(event.splits);
        announce(
          `${percent(event.rows.read, Number(event.rows.in_source ?? 0))} read, ${count(event.rows.loaded)} loaded, ${count(event.rows.quarantined)} quarantined`,
        );
      },
      end(summary) {
        stale(null);
        update({ ...latest, ...summary });
        announce(
          `Run ${id} ${summary.state}: ${plural(summary.rows.loaded, 'row')} loaded, ${count(summary.rows.quarantined)} quarantined`,
          true,
        );
        again().catch(() => {});
        history();
        firstSplits(view, run, bars, splitSlot);
      },
      state: (state, seconds) => {
        head.connection(state);
        if (state === 'waiting') {
          hasRate = false;
          stale(`The connection broke. Connecting again in ${seconds} s; what you see is from ${clock(Date.now())}.`);
          again().catch(() => {});
        }
      },
      refused(problem) {
        head.connection('ended');
        stale(problem.status === 401 ? null : `${explain(problem).title}: the run cannot be followed.`);
      },
    });
    view.signal.addEventListener('abort', stop);
    poll(view, 3, async () => {
      if (latest.state !== 'running') {
        return null;
      }
      const fresh = await get(path(['runs', id], { job: run.job }), { signal: view.signal });
      tables.update(fresh);
      head.facts(fresh);
      return latest.state === 'running' ? 3 : null;
    });
  }

  update(run);
  history().then(() => {
    if (!view.signal.aborted && run.state === 'running') {
      live();
    }
  });
  firstSplits(view, run, bars, splitSlot);
  return [
    head.element,
    section('Accounts', { test: 'run-accounts' }, sums.element),
    el(
      'div',
      { class: 'columns' },
      section('Speed', { test: 'run-speed', kind: 'wide' }, chart.element, chartNote),
      section('Refused, by reason', { test: 'run-rejects', kind: 'flush' }, tables.rejects),
    ),
    section('Splits', { test: 'run-splits' }, splitSlot),
    section('Files and pages', { test: 'run-files', kind: 'flush' }, tables.files),
    section('Workers', { test: 'run-workers', kind: 'flush' }, tables.workers),
  ];
}

function headOf(run) {
  const state = el('div', { class: 'state-line' });
  const connected = el('span', { class: 'muted small', test: 'connection' });
  const list = el('div', {});
  const notice = el('div', {});
  const rate = el('span', { class: 'rate', test: 'rate' });
  const draw = (fresh) => {
    replace(state, stateBadge(fresh.state, 'run-state'), connected, rate);
    if (fresh.state !== 'running') {
      setText(rate, '');
    }
    const shown = fresh.error
      ? el(
          'div',
          { class: 'notice bad', role: 'alert', test: 'run-error' },
          el('strong', { class: 'mono' }, plainName(fresh.error.code)),
          el('span', {}, plain(fresh.error.message)),
        )
      : null;
    replace(notice, shown);
  };
  const told = (fresh) =>
    replace(
      list,
      facts([
        ['Job', link(addressOf.job(fresh.job), plainName(fresh.job))],
        ['Dataset', plainName(fresh.dataset)],
        ['Into', el('bdi', {}, plainName(fresh.target))],
        ['Started', when(fresh.started_at)],
        ['Took', fresh.state === 'running' ? 'still running' : duration(fresh.seconds), 'run-seconds'],
        [
          'Mean',
          fresh.seconds > 0 && Number(fresh.rows.read) > 0
            ? `${count(Number(fresh.rows.read) / fresh.seconds)} rows/s`
            : '–',
        ],
        ['Commits', count(fresh.commits)],
        ['Workers', count(fresh.workers)],
      ]),
    );
  return {
    element: el(
      'div',
      {},
      pageHead({
        trail: [
          ['Jobs', '/'],
          [plainName(run.job), addressOf.job(run.job)],
        ],
        title: `Run ${run.run_id}`,
        beside: state,
      }),
      list,
      notice,
    ),
    update(fresh) {
      draw(fresh);
      told(fresh);
    },
    facts: told,
    progress(event) {
      if (state.firstChild?.dataset?.state !== event.state) {
        draw({ state: event.state, error: null });
      }
      setText(rate, event.state === 'running' ? `${count(event.rows_per_second)} rows/s` : '');
    },
    connection(kind) {
      const words = { live: 'live', waiting: 'connecting again', ended: '' };
      setText(connected, words[kind]);
      connected.className = kind === 'live' ? 'live small' : 'muted small';
      connected.dataset.state = kind;
    },
  };
}

function tablesOf(run) {
  const rejects = dataTable({
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
  const files = dataTable({
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
  const workers = dataTable({
    caption: 'Workers of this run',
    test: 'run-worker-table',
    key: (worker) => `${worker.host} ${worker.process_id} ${worker.joined_at}`,
    columns: [
      { label: 'Host', kind: 'main', cell: (worker) => el('bdi', {}, plainName(worker.host)) },
      { label: 'Process', kind: 'number', cell: (worker) => String(worker.process_id) },
      {
        label: 'State',
        cell: (worker) =>
          worker.is_alive
            ? badge('accent', 'play', 'working')
            : worker.left_at
              ? badge('plain', 'check', 'left')
              : badge('warn', 'warn', 'silent'),
      },
      { label: 'Joined', cell: (worker) => when(worker.joined_at) },
      { label: 'Left', cell: (worker) => when(worker.left_at) },
      { label: 'Commits', kind: 'number', cell: (worker) => count(worker.commits) },
      { label: 'Rows', kind: 'number', cell: (worker) => count(worker.rows) },
    ],
  });
  const places = { rejects: el('div', {}), files: el('div', {}), workers: el('div', {}) };
  const fill = (place, table, items, nothing) => {
    table.set(items);
    const wanted = items.length === 0 ? null : table.element;
    if (
      wanted === null ? place.firstElementChild?.className !== 'empty small-empty' : place.firstElementChild !== wanted
    ) {
      replace(place, wanted ?? el('p', { class: 'empty small-empty' }, nothing));
    }
  };
  return {
    ...places,
    update(fresh) {
      fill(places.rejects, rejects, fresh.rejects ?? [], 'No row was refused.');
      fill(places.files, files, fresh.files ?? [], 'No file is planned yet.');
      fill(places.workers, workers, fresh.workers_list ?? [], 'No worker has joined yet.');
    },
  };
}

// Whether the accounts of one file close: every row read is loaded, quarantined or filtered.
function closing(file) {
  const open = Number(file.read) - Number(file.loaded) - Number(file.quarantined) - Number(file.filtered);
  return open === 0 ? badge('good', 'check', 'close') : badge('bad', 'warn', `${plural(Math.abs(open), 'row')} apart`);
}

async function firstSplits(view, run, bars, slot) {
  try {
    bars.add(
      await get(path(['runs', run.run_id, 'splits'], { job: run.job, limit: splitsPage }), { signal: view.signal }),
    );
    if (bars.size === 0) {
      replace(
        slot,
        bars.element,
        empty('No split yet', 'Splits appear when the source has told what there is to load.'),
      );
    } else {
      replace(slot, bars.element);
    }
  } catch (error) {
    if (!view.signal.aborted && !(error instanceof Problem && error.status === 401)) {
      replace(
        slot,
        errorState(asProblem(error), () => firstSplits(view, run, bars, slot), view.signal),
      );
    }
  }
}

async function moreSplits(view, run, bars, after) {
  try {
    bars.add(
      await get(path(['runs', run.run_id, 'splits'], { job: run.job, after, limit: splitsPage }), {
        signal: view.signal,
      }),
    );
  } catch (error) {
    if (!view.signal.aborted) {
      stale(`${explain(asProblem(error)).title}.`);
    }
  }
}
