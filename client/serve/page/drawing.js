// Draws where columns come from: source columns, the stages they pass, target columns; lines join them.
//
// The words are a list that reads well alone; the lines are a picture behind it, drawn where there is room.

import { icon } from './icons.js';
import { el, replace, svg } from './ui.js';
import { piiSign, plain, plainName } from './values.js';

export function lineageDrawing(lineage, signal) {
  const lines = svg('svg', { class: 'lineage-lines', 'aria-hidden': 'true', focusable: 'false' });
  const seen = new Map();
  const rows = [];
  const joins = [];
  for (const column of lineage.columns) {
    const fresh = [];
    const row = {
      target: node('target', column.target, column.type, column.pii),
      stages: el('ol', { class: 'stages' }, column.stages.map(stageChip)),
    };
    for (const source of column.sources) {
      if (!seen.has(source)) {
        seen.set(source, node('source', source));
        fresh.push(seen.get(source));
      }
      joins.push({ source: seen.get(source), row });
    }
    // A source that stands in another row is named here too, for those who cannot see the lines.
    const known = column.sources.filter((source) => !fresh.includes(seen.get(source)));
    row.node = el(
      'li',
      { class: 'lineage-row', test: 'lineage-row', 'data-target': column.target },
      el(
        'div',
        { class: 'sources' },
        fresh,
        known.length > 0
          ? el(
              'span',
              { class: 'also' },
              known.map((source) => el('bdi', { class: 'mono' }, plainName(source))),
            )
          : null,
        column.sources.length === 0 ? el('span', { class: 'also lone' }, 'no source column') : null,
      ),
      row.stages,
      row.target,
    );
    row.members = [...column.sources.map((source) => seen.get(source)), row.node];
    rows.push(row);
  }
  const dropped = lineage.dropped.map((column) => {
    const source = node('source gone', column.column);
    const end = el('span', { class: 'chip gone' }, icon('cross'), plain(column.why));
    const item = el(
      'li',
      { class: 'lineage-row gone', test: 'dropped-row', 'data-column': column.column },
      el('div', { class: 'sources' }, source),
      el('div', { class: 'stages' }, end),
      el('div', { class: 'target-none' }, 'not loaded'),
    );
    joins.push({ source, end, isGone: true });
    return item;
  });
  const list = el(
    'ol',
    { class: 'lineage-list' },
    rows.map((row) => row.node),
    dropped,
  );
  const frame = el(
    'div',
    { class: 'lineage', test: 'lineage-drawing' },
    el(
      'div',
      { class: 'lineage-head', 'aria-hidden': 'true' },
      el('span', {}, 'Source'),
      el('span', {}, 'Stages'),
      el('span', {}, 'Target'),
    ),
    lines,
    list,
  );

  const draw = () => replace(lines, ...connect(frame, lines, rows, joins));
  const watch = new ResizeObserver(draw);
  watch.observe(frame);
  signal.addEventListener('abort', () => watch.disconnect());
  for (const row of rows) {
    const light = (isOn) => () => {
      row.members.forEach((member) => member.classList.toggle('lit', isOn));
      row.paths?.forEach((path) => path.classList.toggle('lit', isOn));
    };
    row.node.addEventListener('pointerenter', light(true));
    row.node.addEventListener('pointerleave', light(false));
  }
  return frame;
}

function node(kind, name, type, pii) {
  return el(
    'div',
    { class: `node ${kind}` },
    el('bdi', { class: 'mono' }, plainName(name)),
    type ? el('span', { class: 'column-type' }, pii ? piiSign(pii) : null, plainName(type)) : null,
  );
}

function stageChip(stage) {
  return el(
    'li',
    { class: `chip ${stage.stage === 'pseudonymise' ? 'hides' : ''}`.trim(), test: 'stage' },
    stage.stage === 'pseudonymise' ? icon('lock') : null,
    el('span', { class: 'chip-stage' }, plainName(stage.stage)),
    ' ',
    el('bdi', {}, plain(stage.what)),
  );
}

// Lines from each source to the first stage, between stages, and to the target.
function connect(frame, lines, rows, joins) {
  const base = frame.getBoundingClientRect();
  lines.setAttribute('width', base.width);
  lines.setAttribute('height', base.height);
  if (getComputedStyle(lines).display === 'none') {
    return [];
  }
  const place = (element) => {
    const box = element.getBoundingClientRect();
    return {
      left: box.left - base.left,
      right: box.right - base.left,
      middle: box.top - base.top + box.height / 2,
      top: box.top - base.top,
    };
  };
  const drawn = [];
  for (const row of rows) {
    const stops = [...row.stages.children, row.target].map(place);
    row.paths = [];
    row.entry = stops[0];
    for (let index = 0; index + 1 < stops.length; index += 1) {
      row.paths.push(line(stops[index].right, stops[index].middle, stops[index + 1].left, stops[index + 1].middle));
    }
    drawn.push(...row.paths);
  }
  for (const join of joins) {
    const from = place(join.source);
    const to = join.isGone ? place(join.end) : join.row.entry;
    const path = line(from.right, from.middle, to.left, to.middle, join.isGone ? 'gone' : '');
    join.row?.paths.push(path);
    drawn.push(path);
  }
  return drawn;
}

function line(x1, y1, x2, y2, kind = '') {
  // A stage on the next line of its row: down and back, not across the words.
  const bend = Math.abs(y1 - y2) < 1 ? 0 : Math.min(Math.max((x2 - x1) / 2, 16), 48);
  return svg('path', {
    class: `link ${kind}`.trim(),
    d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`,
  });
}
