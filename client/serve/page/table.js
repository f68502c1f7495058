// Builds tables of records that stay tables for assistive technology even where a phone shows them as cards.
//
// Invariant: refreshing touches only the cells that changed, so that focus and selection survive.

import { el, replace, button, link } from './ui.js';
import { count } from './format.js';

// columns: [{ label, cell(item) -> child or children, kind: 'number' | 'wide' | 'main' | …, title, head }]
// kind 'cards' turns rows into cards on a narrow screen; 'scroll' scrolls inside.
// row: { test, data(item) -> data attributes, opens: whether a click anywhere on the row does what its first link does }
export function dataTable({ caption, columns, test, kind = 'cards', key, row }) {
  const head = el(
    'tr',
    { role: 'row' },
    columns.map((column) =>
      el(
        'th',
        { role: 'columnheader', scope: 'col', class: column.kind, title: column.title },
        column.head ?? column.label,
      ),
    ),
  );
  const body = el('tbody', { role: 'rowgroup' });
  const table = el(
    'table',
    { role: 'table', class: kind, test },
    el('caption', { class: 'unseen' }, caption),
    el('thead', { role: 'rowgroup' }, head),
    body,
  );
  const frame = el(
    'div',
    {
      class: `table-frame ${kind}`,
      tabindex: kind === 'scroll' ? '0' : null,
      role: kind === 'scroll' ? 'region' : null,
      'aria-label': kind === 'scroll' ? `${caption}, scrolls sideways` : null,
    },
    table,
  );
  const rows = new Map();

  function build(item) {
    const node = el('tr', { role: 'row', test: row?.test });
    node.append(...columns.map((column) => cellOf(column, item)));
    Object.assign(node.dataset, row?.data?.(item));
    if (row?.opens) {
      opens(node);
    }
    return node;
  }

  function refresh(node, item) {
    columns.forEach((column, index) => {
      const old = node.cells[index];
      const fresh = cellOf(column, item);
      if (!fresh.isEqualNode(old)) {
        const hadFocus = old.contains(document.activeElement);
        old.replaceWith(fresh);
        if (hadFocus) {
          fresh.querySelector('a, button, input')?.focus();
        }
      }
    });
    Object.assign(node.dataset, row?.data?.(item));
  }

  return {
    element: frame,
    keyOf: key,
    set(items) {
      const wanted = new Set();
      let place = body.firstElementChild;
      for (const item of items) {
        const name = key(item);
        wanted.add(name);
        let node = rows.get(name);
        if (node) {
          refresh(node, item);
        } else {
          node = build(item);
          rows.set(name, node);
        }
        if (node === place) {
          place = place.nextElementSibling;
        } else {
          body.insertBefore(node, place);
        }
      }
      for (const [name, node] of rows) {
        if (!wanted.has(name)) {
          node.remove();
          rows.delete(name);
        }
      }
    },
    add(items) {
      for (const item of items) {
        const name = key(item);
        if (!rows.has(name)) {
          const node = build(item);
          rows.set(name, node);
          body.append(node);
        }
      }
    },
  };
}

export function number(value, kind) {
  return el('span', { class: kind && Number(value) > 0 ? kind : null }, count(value));
}

// Loads further pages below a table, one at a time.
export function moreButton({ test, label = 'Show more', load }) {
  const holder = el('div', { class: 'more' });
  function offer(next) {
    if (next === null || next === undefined) {
      replace(holder);
      return;
    }
    const node = button(label, {
      test,
      onClick: async () => {
        node.disabled = true;
        node.textContent = 'Loading…';
        await load(next);
        if (node.isConnected) {
          node.disabled = false;
          node.textContent = label;
        }
      },
    });
    replace(holder, node);
  }
  return { element: holder, offer };
}

// First and next page of a keyset; what lies between is what the browser's Back does.
export function pager({ test, first, next, text }) {
  return el(
    'nav',
    { class: 'pager', 'aria-label': 'Pages of this list', test },
    el('span', { class: 'muted', role: 'status' }, text),
    first ? link(first, 'First page', { kind: 'button', test: `${test}-first` }) : null,
    next ? link(next, 'Next page', { kind: 'button', test: `${test}-next` }) : null,
  );
}

// A whole row that opens something: a click anywhere on it does what its link does.
function opens(node) {
  node.dataset.opens = '';
  node.addEventListener('click', (event) => {
    const chosen = window.getSelection()?.toString() !== '';
    if (!chosen && !event.target.closest('a, button, input, label') && event.button === 0) {
      // What opens gives the focus back to where it was: that is to be the link.
      const target = node.querySelector('a');
      target?.focus({ preventScroll: true });
      target?.click();
    }
  });
}

function cellOf(column, item) {
  return el(
    'td',
    { role: 'cell', class: column.kind, 'data-label': column.label },
    el('div', { class: 'cell' }, column.cell(item)),
  );
}
