// The splits of a run on its page: asks for them, page by page, and shows a bar for each.

import { get, path, Problem } from './api.js';
import { splitBars } from './splits.js';
import { asProblem, empty, errorState, explain, stale } from './states.js';
import { el, replace } from './ui.js';

const splitsPage = 200;

// load() asks for the first page anew; update(splits) moves the bars by an event.
export function splitsOf(view, run) {
  const bars = splitBars({ loadMore: more });
  const slot = el(
    'div',
    { class: 'split-scroll', tabindex: '0', role: 'region', 'aria-label': 'Splits, scrolls' },
    bars.element,
  );

  async function add(after) {
    const parameters = { job: run.job, after, limit: splitsPage };
    bars.add(await get(path(['runs', run.run_id, 'splits'], parameters), { signal: view.signal }));
  }

  async function load() {
    try {
      await add();
      replace(slot, bars.element, bars.size === 0 ? nothing() : null);
    } catch (error) {
      if (!view.signal.aborted && !(error instanceof Problem && error.status === 401)) {
        replace(slot, errorState(asProblem(error), load, view.signal));
      }
    }
  }

  async function more(after) {
    try {
      await add(after);
    } catch (error) {
      if (!view.signal.aborted) {
        stale(`${explain(asProblem(error)).title}.`);
      }
    }
  }

  return { element: slot, load, update: bars.update };
}

function nothing() {
  return empty('No split yet', 'Splits appear when the source has told what there is to load.');
}
