// Shows the accounts of a run, so that one sees them close: read = loaded + quarantined + filtered.

import { count, percent, plural } from './format.js';
import { badge, el, replace, setText, svg } from './ui.js';

const parts = ['loaded', 'quarantined', 'filtered'];

// The rows of a summary that are accounted for.
export function accounted(rows) {
  return parts.reduce((sum, part) => sum + Number(rows[part] ?? 0), 0);
}

// A bar of what became of the rows; its words are beside it, so it is a picture only.
export function accountBar(rows, total) {
  const whole = Math.max(Number(total ?? rows.read), 1);
  const shares = parts.map((part) => (Number(rows[part] ?? 0) / whole) * 100);
  // A sliver is drawn wide enough to be seen; the widest part gives what that takes.
  const widths = shares.map((share) => (share > 0 ? Math.max(share, 0.6) : 0));
  const widest = widths.indexOf(Math.max(...widths));
  widths[widest] = Math.max(0, widths[widest] - Math.max(0, widths.reduce((sum, width) => sum + width) - 100));
  let from = 0;
  const segments = parts.map((part, index) => {
    const segment = svg('rect', {
      class: `segment ${part}`,
      x: `${from}%`,
      y: 0,
      width: `${widths[index]}%`,
      height: 8,
    });
    from += widths[index];
    return segment;
  });
  return svg(
    'svg',
    { class: 'account-bar', height: 8, width: '100%', 'aria-hidden': 'true', focusable: 'false' },
    svg('rect', { class: 'segment rest', width: '100%', height: 8 }),
    segments,
  );
}

// The equation with its verdict. update(rows, state) writes new numbers in place.
export function accounts() {
  const figures = new Map();
  const term = (name, label) => {
    const value = el('dd', { test: `rows-${name}` }, '–');
    figures.set(name, value);
    return el('div', { class: `term ${name}` }, el('dt', {}, label), value);
  };
  const verdict = el('div', { class: 'verdict', test: 'accounts' });
  const bar = el('div', {});
  const inSource = el('p', { class: 'muted small', test: 'rows-in-source' });
  const element = el(
    'div',
    { class: 'accounts' },
    el(
      'div',
      { role: 'group', 'aria-label': 'read equals loaded plus quarantined plus filtered' },
      el(
        'dl',
        { class: 'equation' },
        term('read', 'read'),
        term('loaded', 'loaded'),
        term('quarantined', 'quarantined'),
        term('filtered', 'filtered'),
      ),
    ),
    bar,
    el('div', { class: 'accounts-foot' }, verdict, inSource),
  );
  return {
    element,
    update(rows, state, closes) {
      for (const [name, node] of figures) {
        setText(node, count(rows[name]));
      }
      const open = Number(rows.read) - accounted(rows);
      const isOver = state !== 'running' && state !== 'starting';
      replace(bar, accountBar(rows, Math.max(Number(rows.in_source ?? 0), Number(rows.read))));
      replace(verdict, verdictOf(open, isOver, closes));
      setText(
        inSource,
        rows.in_source === null || rows.in_source === undefined
          ? ''
          : `${percent(rows.read, Number(rows.in_source))} of ${plural(rows.in_source, 'row')} in the source`,
      );
    },
  };
}

function verdictOf(open, isOver, closes) {
  const node = (kind, sign, text, state) => {
    const made = badge(kind, sign, text, 'accounts-verdict');
    made.dataset.state = state;
    return made;
  };
  if (open === 0 && closes !== false) {
    return node('good', 'check', isOver ? 'accounts close' : 'accounts close so far', 'closed');
  }
  if (!isOver) {
    return node('accent', 'play', `${plural(Math.abs(open), 'row')} on the way`, 'open');
  }
  return node(
    'bad',
    'warn',
    open === 0
      ? 'accounts do not close'
      : `accounts do not close: ${plural(Math.abs(open), 'row')} ${open > 0 ? 'missing' : 'too many'}`,
    'broken',
  );
}
