// The page of one run: live while it goes on, its history when it is over.
//
// Accounts, splits and the plot move with the events; files, reasons and workers are asked for again every few seconds.

import { get, path } from './api.js';
import { accounts } from './accounts.js';
import { rateChart } from './chart.js';
import { headOf } from './run-head.js';
import { follow, plotHistory, update } from './run-live.js';
import { splitsOf } from './run-splits.js';
import { tablesOf } from './run-tables.js';
import { el, replace, section } from './ui.js';
import { load } from './states.js';

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
  const shown = {
    run,
    latest: run,
    head: headOf(run),
    sums: accounts(),
    chart: rateChart({ test: 'rate-chart', label: 'Rows per second' }),
    chartNote: el('p', { class: 'muted small', test: 'chart-note' }),
    tables: tablesOf(run),
    splits: splitsOf(view, run),
  };
  update(shown, run);
  plotHistory(view, shown).then(() => {
    if (!view.signal.aborted && run.state === 'running') {
      follow(view, shown);
    }
  });
  shown.splits.load();
  return sectionsOf(shown);
}

function sectionsOf({ head, sums, chart, chartNote, tables, splits }) {
  return [
    head.element,
    section('Accounts', { test: 'run-accounts' }, sums.element),
    el(
      'div',
      { class: 'columns' },
      section('Speed', { test: 'run-speed', kind: 'wide' }, chart.element, chartNote),
      section('Refused, by reason', { test: 'run-rejects', kind: 'flush' }, tables.rejects),
    ),
    section('Splits', { test: 'run-splits' }, splits.element),
    section('Files and pages', { test: 'run-files', kind: 'flush' }, tables.files),
    section('Workers', { test: 'run-workers', kind: 'flush' }, tables.workers),
  ];
}
