// The head of the page of a run: where one is, how the run stands, its figures, its error.

import { addressOf } from './jobs.js';
import { count, duration } from './format.js';
import { el, facts, link, pageHead, replace, setText, stateBadge, when } from './ui.js';
import { plain, plainName } from './values.js';

// update(run) draws all of it anew, facts(run) the figures only, progress(event) and connection(kind) what moves.
export function headOf(run) {
  const state = el('div', { class: 'state-line' });
  const connected = el('span', { class: 'muted small', test: 'connection' });
  const rate = el('span', { class: 'rate', test: 'rate' });
  const figures = el('div', {});
  const notice = el('div', {});

  function draw(fresh) {
    replace(state, stateBadge(fresh.state, 'run-state'), connected, rate);
    if (fresh.state !== 'running') {
      setText(rate, '');
    }
    replace(notice, fresh.error ? errorNotice(fresh.error) : null);
  }

  const tell = (fresh) => replace(figures, figuresOf(fresh));
  return {
    element: el('div', {}, titleOf(run, state), figures, notice),
    update(fresh) {
      draw(fresh);
      tell(fresh);
    },
    facts: tell,
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

function titleOf(run, state) {
  return pageHead({
    trail: [
      ['Jobs', '/'],
      [plainName(run.job), addressOf.job(run.job)],
    ],
    title: `Run ${run.run_id}`,
    beside: state,
  });
}

function figuresOf(run) {
  const hasMean = run.seconds > 0 && Number(run.rows.read) > 0;
  return facts([
    ['Job', link(addressOf.job(run.job), plainName(run.job))],
    ['Dataset', plainName(run.dataset)],
    ['Into', el('bdi', {}, plainName(run.target))],
    ['Started', when(run.started_at)],
    ['Took', run.state === 'running' ? 'still running' : duration(run.seconds), 'run-seconds'],
    ['Mean', hasMean ? `${count(Number(run.rows.read) / run.seconds)} rows/s` : '–'],
    ['Commits', count(run.commits)],
    ['Workers', count(run.workers)],
  ]);
}

function errorNotice(error) {
  return el(
    'div',
    { class: 'notice bad', role: 'alert', test: 'run-error' },
    el('strong', { class: 'mono' }, plainName(error.code)),
    el('span', {}, plain(error.message)),
  );
}
