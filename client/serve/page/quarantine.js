// The pages of refused rows: the choice of a job, and the rows of one job with their filters.

import { get, path } from './api.js';
import { addressOf } from './jobs.js';
import { filterForm, filtersOf } from './quarantine-filters.js';
import { list, pageRows } from './quarantine-list.js';
import { count } from './format.js';
import { el, link, pageHead, replace } from './ui.js';
import { empty, load } from './states.js';
import { dataTable } from './table.js';
import { unaskedNotice } from './unasked.js';
import { plainName } from './values.js';

// Without a job in the address: the only job, or a choice of them.
export async function choose(view) {
  view.title('Quarantine');
  const slot = el('div', {});
  replace(view.main, pageHead({ title: 'Quarantine' }), slot);
  await load(
    view,
    slot,
    () => get(path(['jobs']), { signal: view.signal }),
    ({ jobs }) => {
      if (jobs.length === 1) {
        view.redirect(addressOf.quarantine(jobs[0].name, { state: 'open' }));
        return null;
      }
      return choice(jobs);
    },
    4,
  );
}

function choice(jobs) {
  if (jobs.length === 0) {
    return empty('No job is served', 'Name job files when you start it: ferry-client serve people.toml.');
  }
  const table = dataTable({
    caption: 'Jobs and how many of their rows are in quarantine',
    test: 'quarantine-jobs',
    key: (job) => job.name,
    row: { opens: true },
    columns: [
      {
        label: 'Job',
        kind: 'main',
        cell: (job) =>
          link(addressOf.quarantine(job.name, { state: 'open' }), plainName(job.name), {
            kind: 'strong',
            test: 'quarantine-job',
          }),
      },
      { label: 'Dataset', cell: (job) => plainName(job.dataset) },
      {
        label: 'Open rows',
        kind: 'number',
        cell: (job) =>
          el('span', { class: job.open_quarantine > 0 ? 'warn-text' : 'muted' }, count(job.open_quarantine)),
      },
    ],
  });
  table.set(jobs);
  const unasked = jobs.filter((job) => job.trouble).map((job) => job.name);
  return [unaskedNotice(unasked).element, el('div', { class: 'card flush' }, table.element)];
}

export async function show(view) {
  const { job } = view.params;
  view.title(`Quarantine of ${job}`);
  const filters = filtersOf(view.query);
  const result = el('div', { role: 'status', test: 'quarantine-result' });
  const slot = el('div', {});
  replace(
    view.main,
    pageHead({
      trail: [
        ['Jobs', '/'],
        [plainName(job), addressOf.job(job)],
      ],
      title: 'Quarantine',
    }),
    filterForm(view, job, filters),
    result,
    slot,
  );
  const ask = (after) =>
    get(path(['jobs', job, 'quarantine'], { ...filters, after, limit: pageRows }), { signal: view.signal });
  await load(
    view,
    slot,
    () => ask(),
    (answer) => list({ view, job, filters, ask, result }, answer),
    10,
  );
}
