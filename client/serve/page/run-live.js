// Moves the page of a run while the run goes on: by its events, and by asking again for what no event tells.
//
// shown is what page() of run.js made: the pieces of the page, and the latest that is known of the run.

import { get, path } from './api.js';
import { ratesOfCommits } from './chart.js';
import { followRun } from './stream.js';
import { clock, count, percent, plural } from './format.js';
import { asProblem, explain, poll, stale } from './states.js';
import { announce, setText } from './ui.js';

const factsSeconds = 3;

export function update(shown, fresh) {
  shown.latest = fresh;
  shown.head.update(fresh);
  shown.sums.update(fresh.rows, fresh.state, fresh.closes);
  shown.tables.update(fresh);
}

// Draws what was committed until now.
export async function plotHistory(view, shown) {
  const { run_id: id, job, started_at: started } = shown.run;
  const startedAt = new Date(started).getTime();
  try {
    const answer = await get(path(['runs', id, 'commits'], { job }), { signal: view.signal });
    const points = ratesOfCommits(answer.points, startedAt);
    shown.chart.set(points, startedAt);
    setText(shown.chartNote, points.length > 0 ? '' : nothingCommitted(shown.latest));
  } catch (error) {
    if (!view.signal.aborted) {
      setText(shown.chartNote, `${explain(asProblem(error)).title}: the history cannot be shown.`);
    }
  }
}

function nothingCommitted(run) {
  return run.state === 'running'
    ? 'Nothing was committed yet; the plot begins with the first commit.'
    : 'Nothing was committed.';
}

// Follows the run until it ends or the page is left.
export function follow(view, shown) {
  const { run_id: id, job } = shown.run;
  // The first event of a stream has nothing to compare with: its rate is none.
  const stream = { hasRate: false };
  const stop = followRun(path(['runs', id, 'events'], { job }), {
    progress: (event) => showProgress(shown, stream, event),
    end: (summary) => showEnd(view, shown, summary),
    state: (state, seconds) => showConnection(view, shown, stream, state, seconds),
    refused: (problem) => showRefusal(shown, problem),
  });
  view.signal.addEventListener('abort', stop);
  poll(view, factsSeconds, () => refreshFacts(view, shown));
}

function showProgress(shown, stream, event) {
  stale(null);
  setText(shown.chartNote, '');
  shown.latest = { ...shown.latest, state: event.state, rows: event.rows, closes: undefined };
  shown.sums.update(event.rows, event.state);
  shown.head.progress(event);
  if (stream.hasRate) {
    shown.chart.add({ at: new Date(event.at).getTime(), rate: Math.max(0, Number(event.rows_per_second)) });
  }
  stream.hasRate = true;
  shown.splits.update(event.splits);
  const read = percent(event.rows.read, Number(event.rows.in_source ?? 0));
  announce(`${read} read, ${count(event.rows.loaded)} loaded, ${count(event.rows.quarantined)} quarantined`);
}

function showEnd(view, shown, summary) {
  stale(null);
  update(shown, { ...shown.latest, ...summary });
  const { loaded, quarantined } = summary.rows;
  announce(
    `Run ${shown.run.run_id} ${summary.state}: ${plural(loaded, 'row')} loaded, ${count(quarantined)} quarantined`,
    true,
  );
  updateAgain(view, shown);
  plotHistory(view, shown);
  shown.splits.load();
}

function showConnection(view, shown, stream, state, seconds) {
  shown.head.connection(state);
  if (state === 'waiting') {
    stream.hasRate = false;
    stale(`The connection broke. Connecting again in ${seconds} s; what you see is from ${clock(Date.now())}.`);
    updateAgain(view, shown);
  }
}

function showRefusal(shown, problem) {
  shown.head.connection('ended');
  stale(problem.status === 401 ? null : `${explain(problem).title}: the run cannot be followed.`);
}

// What events do not tell: files, reasons, workers, figures.
async function refreshFacts(view, shown) {
  if (shown.latest.state !== 'running') {
    return null;
  }
  const fresh = await ask(view, shown);
  shown.tables.update(fresh);
  shown.head.facts(fresh);
  return shown.latest.state === 'running' ? factsSeconds : null;
}

// All of it once more; if that fails, what is there stays.
async function updateAgain(view, shown) {
  try {
    update(shown, await ask(view, shown));
  } catch {
    // The stream and the next look say what is wrong.
  }
}

function ask(view, shown) {
  const { run_id: id, job } = shown.run;
  return get(path(['runs', id], { job }), { signal: view.signal });
}
