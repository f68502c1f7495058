// The page of all runs, newest first, of all jobs or of one.

import { get, path, Problem } from './api.js';
import { addressOf, errorText, rowsOf } from './jobs.js';
import { count, duration, writtenOut } from './format.js';
import { el, link, pageHead, replace, stateBadge, when } from './ui.js';
import { empty, load, poll } from './states.js';
import { dataTable, pager } from './table.js';
import { unaskedNotice } from './unasked.js';
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

async function ask(view, job) {
  const { jobs } = await get(path(['jobs']), { signal: view.signal });
  if (job) {
    const { runs, next_before: next } = await runsOf(view, job, view.query.get('before'));
    return { jobs, runs, next, hasMore: next !== null, unasked: [] };
  }
  return { jobs, next: null, ...(await newestOf(view, jobs)) };
}

// Of all jobs only the newest runs: a number of a run is a place in the list of one job, not in that of another.
async function newestOf(view, jobs) {
  const answers = await Promise.all(jobs.map((one) => (one.trouble ? null : runsIfThere(view, one.name))));
  const unasked = jobs.filter((_one, index) => answers[index] === null).map((one) => one.name);
  const there = answers.filter((answer) => answer !== null);
  const all = there.flatMap((answer) => answer.runs);
  const newest = all.sort((one, other) => Date.parse(other.started_at) - Date.parse(one.started_at));
  const hasMore = all.length > pageRows || there.some((answer) => answer.next_before !== null);
  return { runs: newest.slice(0, pageRows), hasMore, unasked };
}

function runsOf(view, job, before) {
  return get(path(['jobs', job, 'runs'], { before, limit: pageRows }), { signal: view.signal });
}

// Null where the database of a job went away just now, so that the other jobs are shown.
async function runsIfThere(view, job) {
  try {
    return await runsOf(view, job, null);
  } catch (error) {
    if (error instanceof Problem && error.status >= 500) {
      return null;
    }
    throw error;
  }
}

function list(view, job, choose, answer) {
  replace(
    choose,
    el('option', { value: '' }, 'all jobs'),
    answer.jobs.map((one) => el('option', { value: one.name, selected: one.name === job }, writtenOut(one.name))),
  );
  const table = dataTable({
    caption: 'Runs, newest first',
    test: 'runs',
    key: (run) => `${run.job} ${run.run_id}`,
    row: { test: 'run-row', opens: true },
    columns: runColumns(true),
  });
  const notice = unaskedNotice(answer.unasked);
  const place = el('div', {});
  let told = null;

  // What stands in the place is made anew only when it is another: whoever reads a table keeps it.
  function tell({ runs, next, hasMore, unasked }) {
    table.set(runs);
    notice.update(unasked);
    const kind = runs.length > 0 ? 'runs' : unasked.length > 0 ? 'unasked' : 'none';
    if (kind !== told) {
      told = kind;
      replace(place, kind === 'runs' ? card(runs.length, next, hasMore) : nothing(kind === 'unasked'));
    }
  }

  function card(shown, next, hasMore) {
    const pages = pager({
      test: 'runs-pager',
      text: `${count(shown)} shown${!job && hasMore ? '; choose a job to see older ones' : ''}`,
      first: isNewest ? null : address(''),
      next: next === null ? null : address(next),
    });
    return el('div', { class: 'card flush' }, table.element, pages);
  }

  const isNewest = !view.query.has('before');
  const address = (before) =>
    `/ui/runs?${new URLSearchParams({ ...(job ? { job } : {}), ...(before ? { before } : {}) })}`;
  tell(answer);
  if (isNewest) {
    poll(view, 4, async () => {
      const fresh = await ask(view, job);
      tell(fresh);
      return fresh.runs.some((run) => run.state === 'running') ? 2 : 8;
    });
  }
  return [notice.element, place];
}

function nothing(isIncomplete) {
  const [title, text] = isIncomplete
    ? ['No run can be shown', 'Runs of the jobs above are shown once their databases answer again.']
    : ['No run yet', 'Start one on the page Jobs, or with ferry-client run.'];
  return empty(title, text, [link('/', 'Go to jobs', { kind: 'button' })]);
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
