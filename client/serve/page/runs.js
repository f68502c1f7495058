// The page of all runs, newest first, of all jobs or of one.

import { get, path } from './api.js';
import { addressOf, errorText, rowsOf } from './jobs.js';
import { count, duration, writtenOut } from './format.js';
import { el, link, pageHead, replace, stateBadge, when } from './ui.js';
import { empty, load, poll } from './states.js';
import { dataTable, opens, pager } from './table.js';
import { plainName } from './values.js';

const pageRows = 25;

export async function show(view) {
  const job = view.query.get('job') ?? '';
  view.title(job ? `Runs of ${job}` : 'Runs');
  const choose = el('select', {
    id: 'runs-job',
    test: 'runs-job',
    on: { change: () => view.go(choose.value ? `/ui/runs?job=${encodeURIComponent(choose.value)}` : '/ui/runs') },
  });
  const slot = el('div', {});
  replace(
    view.main,
    pageHead({ title: 'Runs', actions: [el('label', { for: 'runs-job', class: 'inline' }, 'Job'), choose] }),
    slot,
  );
  await load(
    view,
    slot,
    () => ask(view, job),
    (answer) => list(view, job, choose, answer),
    8,
  );
}

// Of all jobs only the newest runs: a number of a run is a place in the list of one job, not in that of another.
async function ask(view, job) {
  const before = job ? view.query.get('before') : null;
  const { jobs } = await get(path(['jobs']), { signal: view.signal });
  const wanted = job ? [job] : jobs.map((one) => one.name);
  const answers = await Promise.all(
    wanted.map((name) => get(path(['jobs', name, 'runs'], { before, limit: pageRows }), { signal: view.signal })),
  );
  const all = answers.flatMap((answer) => answer.runs);
  const newest = all.sort((one, other) => Date.parse(other.started_at) - Date.parse(one.started_at));
  const hasMore = all.length > pageRows || answers.some((answer) => answer.next_before !== null);
  return { jobs, runs: newest.slice(0, pageRows), next: job ? answers[0].next_before : null, hasMore };
}

function list(view, job, choose, answer) {
  replace(
    choose,
    el('option', { value: '' }, 'all jobs'),
    answer.jobs.map((one) => el('option', { value: one.name, selected: one.name === job }, writtenOut(one.name))),
  );
  if (answer.runs.length === 0) {
    return empty('No run yet', 'Start one on the page Jobs, or with ferry-client run.', [
      link('/', 'Go to jobs', { kind: 'button' }),
    ]);
  }
  const table = dataTable({
    caption: 'Runs, newest first',
    test: 'runs',
    key: (run) => `${run.job} ${run.run_id}`,
    row: { test: 'run-row', prepare: (node) => opens(node) },
    columns: runColumns(true),
  });
  table.set(answer.runs);
  const isNewest = !view.query.has('before');
  if (isNewest) {
    poll(view, 4, async () => {
      const fresh = await ask(view, job);
      table.set(fresh.runs);
      return fresh.runs.some((run) => run.state === 'running') ? 2 : 8;
    });
  }
  const address = (before) =>
    `/ui/runs?${new URLSearchParams({ ...(job ? { job } : {}), ...(before ? { before } : {}) })}`;
  return el(
    'div',
    { class: 'card flush' },
    table.element,
    pager({
      test: 'runs-pager',
      text: `${count(answer.runs.length)} shown${!job && answer.hasMore ? '; choose a job to see older ones' : ''}`,
      first: isNewest ? null : address(''),
      next: answer.next === null ? null : address(answer.next),
    }),
  );
}

export function runColumns(withJob) {
  return [
    {
      label: 'Run',
      kind: 'main',
      cell: (run) =>
        link(addressOf.run(run.run_id, run.job), `Run ${run.run_id}`, { test: 'run-link', kind: 'strong' }),
    },
    withJob ? { label: 'Job', cell: (run) => link(addressOf.job(run.job), plainName(run.job)) } : null,
    { label: 'State', cell: (run) => [stateBadge(run.state, 'run-state'), errorText(run.error)] },
    { label: 'Started', cell: (run) => when(run.started_at) },
    { label: 'Took', kind: 'number', cell: (run) => duration(run.seconds) },
    { label: 'Read', kind: 'number', cell: (run) => count(run.rows.read) },
    { label: 'Rows', kind: 'bar', cell: (run) => rowsOf(run) },
    { label: 'Workers', kind: 'number', cell: (run) => count(run.workers) },
  ].filter(Boolean);
}
