// Chooses the page by the address, and changes pages without loading the document anew.
//
// Invariant: one view is alive at a time; leaving it aborts its requests, timers and streams.

import { closeAll } from './dialogs.js';
import { writtenOut } from './format.js';
import { announce, el, pageHead, replace } from './ui.js';
import { asProblem, empty, errorState, stale } from './states.js';
import { tokenForm, wireForget } from './token.js';
import * as jobs from './jobs.js';
import * as job from './job.js';
import * as runs from './runs.js';
import * as run from './run.js';
import * as quarantine from './quarantine.js';
import * as tables from './tables.js';
import * as records from './records.js';
import * as lineage from './lineage.js';

const routes = [
  [/^\/(?:ui\/?)?$/, 'jobs', [], jobs.show],
  [/^\/ui\/jobs\/?$/, 'jobs', [], jobs.show],
  [/^\/ui\/jobs\/([^/]+)\/?$/, 'jobs', ['job'], job.show],
  [/^\/ui\/runs\/?$/, 'runs', [], runs.show],
  [/^\/ui\/runs\/([^/]+)\/?$/, 'runs', ['run'], run.show],
  [/^\/ui\/quarantine\/?$/, 'quarantine', [], quarantine.choose],
  [/^\/ui\/quarantine\/([^/]+)\/?$/, 'quarantine', ['job'], quarantine.show],
  [/^\/ui\/tables\/?$/, 'tables', [], tables.show],
  [/^\/ui\/tables\/([^/]+)\/?$/, 'tables', ['table'], records.show],
  [/^\/ui\/tables\/([^/]+)\/lineage\/?$/, 'tables', ['table'], lineage.show],
];

const main = document.getElementById('main');
let leaving = new AbortController();
let shown = '';
let showForget = () => {};

// Shows the page of the address in the location bar.
async function display({ focus }) {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  closeAll();
  stale(null);
  showForget();
  shown = location.pathname + location.search;
  const { page, params, open } = match(location.pathname);
  for (const item of document.querySelectorAll('.pages a[data-page]')) {
    item.toggleAttribute('aria-current', false);
    if (item.dataset.page === page) {
      item.setAttribute('aria-current', 'page');
    }
  }
  const view = {
    main,
    params,
    signal,
    go,
    redirect,
    query: new URLSearchParams(location.search),
    title: (text) => {
      document.title = text ? `${writtenOut(text)} · ferry` : 'ferry';
    },
    // Writes the query without showing the page anew; for what is open beside it.
    remember(parameters, { push = false } = {}) {
      const query = new URLSearchParams(location.search);
      for (const [name, value] of Object.entries(parameters)) {
        if (value === null || value === '') {
          query.delete(name);
        } else {
          query.set(name, value);
        }
      }
      const address = `${location.pathname}${query.size > 0 ? `?${query}` : ''}`;
      shown = address;
      history[push ? 'pushState' : 'replaceState'](null, '', address);
    },
  };
  try {
    await open(view);
  } catch (error) {
    if (signal.aborted || error.status === 401) {
      return;
    }
    replace(
      main,
      errorState(asProblem(error), () => display({ focus: true }), signal),
    );
  }
  if (focus && !signal.aborted && !document.querySelector('dialog[open]')) {
    scrollTo(0, 0);
    (main.querySelector('h1') ?? main).focus({ preventScroll: true });
    announce(document.title, true);
  }
}

function match(pathname) {
  for (const [pattern, page, names, open] of routes) {
    const found = pattern.exec(pathname);
    if (!found) {
      continue;
    }
    try {
      const params = Object.fromEntries(names.map((name, index) => [name, decodeURIComponent(found[index + 1])]));
      return { page, params, open };
    } catch {
      break;
    }
  }
  return { page: '', params: {}, open: missing };
}

function missing(view) {
  view.title('Not found');
  replace(
    view.main,
    pageHead({ title: 'There is no such page' }),
    empty('Nothing lies at this address', 'Links of an older version may have changed.', [
      el('a', { class: 'button', href: '/' }, 'Go to jobs'),
    ]),
  );
}

function go(address) {
  history.pushState(null, '', address);
  display({ focus: true });
}

function redirect(address) {
  history.replaceState(null, '', address);
  return display({ focus: true });
}

function isOurs(address) {
  return (
    address.origin === location.origin &&
    (address.pathname === '/' || address.pathname === '/ui' || address.pathname.startsWith('/ui/'))
  );
}

document.addEventListener('click', (event) => {
  const anchor = event.target instanceof Element ? event.target.closest('a[href]') : null;
  if (
    !anchor ||
    event.defaultPrevented ||
    event.button !== 0 ||
    event.metaKey ||
    event.ctrlKey ||
    event.shiftKey ||
    event.altKey ||
    anchor.target ||
    anchor.hasAttribute('download')
  ) {
    return;
  }
  const address = new URL(anchor.href);
  if (isOurs(address) && address.hash === '') {
    event.preventDefault();
    go(address.pathname + address.search);
  }
});

addEventListener('popstate', () => {
  if (location.pathname + location.search !== shown) {
    display({ focus: true });
  }
});

addEventListener('ferry:token-wanted', () => {
  leaving.abort();
  closeAll();
  stale(null);
  showForget();
  tokenForm(main, () => display({ focus: true }));
});

showForget = wireForget(() => display({ focus: true }));
display({ focus: false });
