// The page of all jobs: how each stands, its last run, and a button that starts one.

import { get, path, post, Problem } from './api.js';
import { accountBar } from './accounts.js';
import { toast } from './dialogs.js';
import { count, duration, hiddenInText, plural, writtenOut } from './format.js';
import { button, el, link, pageHead, replace, stateBadge, when } from './ui.js';
import { asProblem, empty, explain, load, poll } from './states.js';
import { dataTable } from './table.js';
import { plain, plainName } from './values.js';

export const addressOf = {
  job: (job) => `/ui/jobs/${encodeURIComponent(job)}`,
  // Jobs of several databases number their runs alike: the job says which is meant.
  run: (run, job) => `/ui/runs/${encodeURIComponent(run)}?job=${encodeURIComponent(job)}`,
  quarantine: (job, parameters = {}) =>
    `/ui/quarantine/${encodeURIComponent(job)}${Object.keys(parameters).length > 0 ? `?${new URLSearchParams(parameters)}` : ''}`,
  table: (table) => `/ui/tables/${encodeURIComponent(table)}`,
};

export async function show(view) {
  view.title('Jobs');
  const slot = el('div', {});
  replace(view.main, pageHead({ title: 'Jobs' }), slot);
  await load(
    view,
    slot,
    () => get(path(['jobs']), { signal: view.signal }),
    (answer) => list(view, answer),
    4,
  );
}

function list(view, answer) {
  if (answer.jobs.length === 0) {
    return empty(
      'No job is served',
      'Name job files when you start it: ferry-client serve people.toml, or list them under jobs in serve.toml.',
    );
  }
  const table = dataTable({
    caption: 'Jobs and their last runs',
    test: 'jobs',
    key: (job) => job.name,
    row: { test: 'job-row', data: (job) => ({ job: job.name }) },
    columns: [
      {
        label: 'Job',
        kind: 'main',
        cell: (job) => [
          link(addressOf.job(job.name), plainName(job.name), { test: 'job-link', kind: 'strong' }),
          el('div', { class: 'muted small' }, plainName(`${job.dataset} → ${job.tables.join(', ')}`)),
        ],
      },
      { label: 'State', cell: stateOf },
      { label: 'Last run', cell: lastRun },
      { label: 'Rows', kind: 'bar', cell: (job) => rowsOf(job.last_run) },
      { label: 'In quarantine', kind: 'number', cell: (job) => openRows(job) },
      {
        label: 'Start',
        kind: 'action',
        head: el('span', { class: 'unseen' }, 'Start'),
        cell: (job) => startButton(job, () => refresh.now()),
      },
    ],
  });
  table.set(answer.jobs);
  const refresh = poll(view, pace(answer.jobs), async () => {
    const fresh = await get(path(['jobs']), { signal: view.signal });
    table.set(fresh.jobs);
    return pace(fresh.jobs);
  });
  return el('div', { class: 'card flush' }, table.element);
}

// Seconds until the next look: a job at work changes, an idle one hardly.
function pace(jobs) {
  return jobs.some(isAtWork) ? 1 : 4;
}

export function isAtWork(job) {
  return job.activity.state === 'starting' || job.activity.state === 'running';
}

export function stateOf(job) {
  const { activity, last_run: run } = job;
  if (isAtWork(job)) {
    return [
      stateBadge(activity.state, 'job-state'),
      activity.run_id
        ? link(addressOf.run(activity.run_id, job.name), 'Watch', { test: 'watch-run', kind: 'beside' })
        : null,
      troubleText(job.trouble),
    ];
  }
  if (job.trouble) {
    return [stateBadge('unavailable', 'job-state'), troubleText(job.trouble)];
  }
  if (activity.state === 'failed') {
    return [stateBadge('failed', 'job-state'), errorText(activity.error)];
  }
  if (run) {
    return [stateBadge(run.state, 'job-state'), errorText(run.error)];
  }
  return stateBadge('idle', 'job-state');
}

// Why the database of a job cannot be asked.
function troubleText(trouble) {
  return trouble ? el('div', { class: 'bad-text small trouble', test: 'job-trouble' }, plain(trouble)) : null;
}

export function errorText(error) {
  return error
    ? el(
        'div',
        { class: 'bad-text small clamp', title: writtenOut(error.message, hiddenInText), test: 'error-text' },
        el('span', { class: 'mono' }, plainName(error.code)),
        ' ',
        plain(error.message),
      )
    : null;
}

function lastRun({ last_run: run, trouble }) {
  if (!run) {
    return el('span', { class: 'muted' }, trouble ? '–' : 'never run');
  }
  return [
    link(addressOf.run(run.run_id, run.job), `Run ${run.run_id}`, { test: 'last-run' }),
    el(
      'div',
      { class: 'muted small keep' },
      when(run.started_at),
      run.finished_at ? `, took ${duration(run.seconds)}` : '',
    ),
  ];
}

// What became of a run's rows, in a line and a bar.
export function rowsOf(run) {
  if (!run) {
    return el('span', { class: 'muted' }, '–');
  }
  const { rows } = run;
  return el(
    'div',
    { class: 'row-sums' },
    el(
      'div',
      {},
      `${count(rows.loaded)} loaded`,
      Number(rows.quarantined) > 0
        ? el('span', { class: 'warn-text' }, `, ${count(rows.quarantined)} quarantined`)
        : null,
      Number(rows.filtered) > 0 ? el('span', { class: 'muted' }, `, ${count(rows.filtered)} filtered`) : null,
    ),
    accountBar(rows, Math.max(Number(rows.in_source ?? 0), Number(rows.read))),
  );
}

function openRows(job) {
  if (!(job.open_quarantine > 0)) {
    return el('span', { class: 'muted' }, count(job.open_quarantine));
  }
  return link(addressOf.quarantine(job.name, { state: 'open' }), count(job.open_quarantine), {
    test: 'open-quarantine',
    title: `${plural(job.open_quarantine, 'row')} of ${writtenOut(job.name)} to decide about`,
  });
}

// A button that starts a run of a job; it is off while one is at work.
export function startButton(job, after) {
  const node = button('', {
    sign: 'play',
    test: 'start-run',
    onClick: async () => {
      say('Starting', true);
      try {
        const started = await post(path(['jobs', job.name, 'runs']));
        const run = started.activity?.run_id;
        toast(
          'good',
          `A run of ${writtenOut(job.name)} is starting.`,
          run ? { href: addressOf.run(run, job.name), label: 'Watch' } : undefined,
        );
      } catch (error) {
        if (!(error instanceof Problem && error.status === 401)) {
          const { title, text } = explain(asProblem(error));
          toast('bad', `${title}. ${text}`);
        }
        say('Start run', false);
      }
      after?.();
    },
  });
  const words = node.appendChild(document.createTextNode(''));
  function say(text, isOff) {
    words.data = text;
    node.disabled = isOff;
    node.setAttribute('aria-label', `${text}: ${writtenOut(job.name)}`);
  }
  say(isAtWork(job) ? 'Running' : 'Start run', isAtWork(job));
  return node;
}
