// Shows what is not data: loading, nothing there, an error; and asks again when that helps.

import { Problem } from './api.js';
import { icon } from './icons.js';
import { announce, button, el, pageHead, replace } from './ui.js';
import { clock, hiddenInText, writtenOut } from './format.js';

// Grey lines of about the height that the data will have, so that nothing jumps.
export function loading(lines = 6) {
  const rows = Array.from({ length: lines }, () => el('div', { class: 'skeleton-line' }));
  return el(
    'div',
    { class: 'skeleton', 'aria-busy': 'true', test: 'loading' },
    el('span', { class: 'unseen' }, 'Loading'),
    rows,
  );
}

export function empty(title, text, actions = []) {
  return el(
    'div',
    { class: 'empty', test: 'empty' },
    el('p', { class: 'empty-title' }, title),
    text ? el('p', {}, text) : null,
    actions.length > 0 ? el('div', { class: 'actions' }, actions) : null,
  );
}

// What a person may do about a problem, as sentences for a page.
export function explain(problem) {
  const { title, text } = wordsFor(problem);
  return { title: sentence(title), text: sentence(text) };
}

// With a large first letter, as the server begins with a small one; what is code, `limit` or a-name, stays as it is.
function sentence(text) {
  return writtenOut(text, hiddenInText).replace(
    /^\p{Ll}+(?=[\s,:]|$)/u,
    (word) => word[0].toUpperCase() + word.slice(1),
  );
}

// By its status.
function wordsFor(problem) {
  const detail = problem.detail ?? '';
  switch (problem.status) {
    case 0:
      return problem.code === 'unreachable'
        ? {
            title: 'ferry-client does not answer',
            text: 'It may have been stopped, or the network is down. Start it again with ferry-client serve; this page goes on by itself.',
          }
        : { title: problem.title, text: detail };
    case 403:
      return {
        title: 'Not allowed',
        text:
          detail ||
          'This token may only read. Starting runs, replaying and discarding need a token with the role operate.',
      };
    case 404:
      return {
        title: notFound(problem.code),
        text: detail || 'It may have been removed, or it belongs to a job that is not served here.',
      };
    case 409:
      return {
        title: problem.code === 'run_in_progress' ? 'This job is running already' : problem.title || 'Not possible now',
        text: detail || 'Wait until it has ended, then try again.',
      };
    case 429:
      return { title: 'Too many requests', text: detail || 'This page asked more often than the server allows.' };
    case 503:
      return unavailable(problem, detail);
    default:
      return {
        title: problem.title || `Error ${problem.status}`,
        text: detail || `The server answered with status ${problem.status}.`,
      };
  }
}

function unavailable(problem, detail) {
  if (/database/.test(problem.code)) {
    return { title: 'The database cannot be reached', text: 'ferry-client runs, but PostgreSQL does not answer it.' };
  }
  return { title: 'Not possible at the moment', text: detail || problem.title || 'Try again a little later.' };
}

function notFound(code) {
  const names = {
    job_not_found: 'There is no such job',
    run_not_found: 'There is no such run',
    table_not_found: 'There is no such table',
    record_not_found: 'There is no such record',
    row_not_found: 'There is no such row',
  };
  return names[code] ?? 'Not found';
}

// Whether waiting may help.
export function passes(problem) {
  return [0, 429, 502, 503, 504].includes(problem.status);
}

// An error in place of data. With again, a button, and a second try by itself where waiting may help.
export function errorState(problem, again, signal) {
  const { title, text } = explain(problem);
  const status = problem.status > 0 ? `${problem.status} ${problem.code}` : problem.code;
  const node = el(
    'div',
    { class: 'empty error', role: 'alert', test: 'error', 'data-status': problem.status, 'data-code': problem.code },
    el('p', { class: 'empty-title' }, icon('warn'), title),
    el('p', {}, text),
    el('p', { class: 'small muted mono' }, status),
  );
  if (again) {
    const retry = button('Try again', { sign: 'turn', test: 'retry', onClick: again });
    const note = el('span', { class: 'muted small', 'aria-hidden': 'true' });
    node.append(el('div', { class: 'actions' }, retry, note));
    if (passes(problem)) {
      countDown(Math.ceil(problem.retryAfter ?? 5), note, signal, again);
    }
  }
  return node;
}

function countDown(seconds, note, signal, then) {
  let left = seconds;
  const show = () => {
    note.textContent = `by itself in ${left} s`;
  };
  show();
  const timer = setInterval(() => {
    if (signal?.aborted || (left < seconds && !note.isConnected)) {
      clearInterval(timer);
      return;
    }
    left -= 1;
    show();
    if (left <= 0) {
      clearInterval(timer);
      then();
    }
  }, 1000);
}

// Fills a place: loading, then what render makes of the answer, or the error with a way to try again.
export async function load(view, slot, fetcher, render, lines) {
  // A page whose head comes with its data has its name in the meantime, and above an error.
  const heading = view.main.querySelector('h1');
  const stand =
    heading === null || slot.contains(heading) ? pageHead({ title: document.title.replace(/ · ferry$/, '') }) : null;
  replace(slot, stand, loading(lines));
  try {
    const answer = await fetcher();
    if (!view.signal.aborted) {
      replace(slot, await render(answer));
    }
  } catch (error) {
    if (view.signal.aborted || (error instanceof Problem && error.status === 401)) {
      return;
    }
    const problem = asProblem(error);
    replace(
      slot,
      stand,
      errorState(problem, () => load(view, slot, fetcher, render, lines), view.signal),
    );
  }
}

// Anything thrown, as a problem; what is no problem is a fault of this page, and goes to the console too.
export function asProblem(error) {
  if (error instanceof Problem) {
    return error;
  }
  if (!(error instanceof DOMException && error.name === 'AbortError')) {
    console.error(error);
  }
  return new Problem({
    status: 0,
    code: 'page',
    title: 'This page has a fault',
    detail: "What came could not be shown. Reload the page; the browser's console has the details.",
  });
}

// Repeats ask() while the page is seen, never twice at once. What fails leaves the data and says so in a line above.
// ask() gives the seconds until the next time, or null to end.
export function poll(view, firstSeconds, ask) {
  let timer = null;
  let isAsking = false;
  let isWanted = false;
  let failures = 0;
  let goodAt = Date.now();
  const later = (seconds) => {
    clearTimeout(timer);
    if (!view.signal.aborted) {
      timer = setTimeout(turn, seconds * 1000);
    }
  };
  const turn = async () => {
    timer = null;
    if (isAsking) {
      isWanted = true;
      return;
    }
    if (view.signal.aborted || document.hidden) {
      return;
    }
    isAsking = true;
    try {
      const next = await ask();
      goodAt = Date.now();
      if (failures > 0) {
        failures = 0;
        stale(null);
        announce('Connected again', true);
      }
      if (next !== null) {
        later(next);
      }
    } catch (error) {
      if (view.signal.aborted || error.status === 401) {
        return;
      }
      failures += 1;
      const seconds = Math.max(error.retryAfter ?? 0, Math.min(2 ** failures, 30));
      stale(
        `${explain(asProblem(error)).title}. What you see is from ${clock(goodAt)}; asking again every few seconds.`,
      );
      later(seconds);
    } finally {
      isAsking = false;
      if (isWanted) {
        isWanted = false;
        later(0);
      }
    }
  };
  document.addEventListener(
    'visibilitychange',
    () => {
      if (!document.hidden && timer === null) {
        later(0);
      }
    },
    { signal: view.signal },
  );
  view.signal.addEventListener('abort', () => clearTimeout(timer));
  later(firstSeconds);
  return { now: () => later(0) };
}

// The line under the head of the page that says that the data is old; null takes it away.
export function stale(text) {
  const line = document.getElementById('stale');
  if (!line) {
    return;
  }
  line.hidden = text === null;
  const wanted = text ?? '';
  if (line.textContent !== wanted) {
    line.textContent = wanted;
  }
}
