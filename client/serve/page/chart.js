// Draws rows per second over time as SVG, with a pointer and keys that read single points.

import { brief, clock, count, duration } from './format.js';
import { el, replace, setText, svg } from './ui.js';

const pointsMax = 600;
// The history of a run has about so many points, and none sooner than so many milliseconds after another.
const pointsOfRun = 60;
const stepMin = 250;
const height = 184;
const margin = { left: 48, right: 8, top: 12, bottom: 24 };

// points: [{ at: milliseconds, rate }], each the rate from the point before it to `at`.
export function rateChart({ test, label = 'Rows per second' }) {
  const drawing = svg('svg', { class: 'chart', height, 'aria-hidden': 'true', focusable: 'false' });
  const readout = el('output', { class: 'chart-readout', test: test ? `${test}-readout` : null });
  const slider = el(
    'div',
    {
      class: 'chart-frame',
      role: 'slider',
      tabindex: '0',
      test,
      'aria-label': `${label} over time`,
      'aria-valuemin': '0',
      'aria-valuemax': '0',
      'aria-valuenow': '0',
      'aria-valuetext': 'no points yet',
    },
    drawing,
  );
  const element = el(
    'figure',
    { class: 'figure' },
    el('figcaption', { class: 'figure-head' }, el('span', {}, label), readout),
    slider,
  );
  let points = [];
  let start = 0;
  let cursor = null;
  let width = 0;
  let scaled = null;

  function draw() {
    if (width <= 0) {
      return;
    }
    const last = points.at(-1)?.at ?? start;
    const end = Math.max(last, start + 1000);
    const peak = points.reduce((most, point) => Math.max(most, point.rate), 0);
    const ceiling = niceCeiling(peak);
    const x = (at) => margin.left + ((at - start) / (end - start)) * (width - margin.left - margin.right);
    const y = (rate) => height - margin.bottom - (rate / ceiling) * (height - margin.top - margin.bottom);
    scaled = { x, y };
    drawing.setAttribute('width', width);
    drawing.setAttribute('viewBox', `0 0 ${width} ${height}`);
    replace(
      drawing,
      grid(ceiling, y, width),
      timeAxis(start, end, x, width),
      steps(points, start, x, y),
      svg('g', { class: 'chart-cursor' }),
    );
    slider.setAttribute('aria-valuemax', String(Math.max(points.length - 1, 0)));
    drawing.dataset.points = String(points.length);
    mark();
  }

  function mark() {
    const layer = drawing.querySelector('.chart-cursor');
    const index = cursor === null ? points.length - 1 : Math.min(cursor, points.length - 1);
    const point = points[index];
    if (!point || !layer) {
      setText(readout, '');
      return;
    }
    const text = `${clock(point.at)}, ${duration((point.at - start) / 1000)} in: ${count(point.rate)} rows/s`;
    slider.setAttribute('aria-valuenow', String(index));
    slider.setAttribute('aria-valuetext', text);
    if (cursor === null) {
      const peak = points.reduce((most, one) => Math.max(most, one.rate), 0);
      setText(readout, `peak ${count(peak)} rows/s`);
      replace(layer);
      return;
    }
    setText(readout, text);
    const at = scaled.x(point.at);
    replace(
      layer,
      svg('line', { x1: at, x2: at, y1: margin.top, y2: height - margin.bottom }),
      svg('circle', { cx: at, cy: scaled.y(point.rate), r: 4 }),
    );
  }

  function move(event) {
    if (points.length === 0 || !scaled) {
      return;
    }
    const place = event.clientX - drawing.getBoundingClientRect().left;
    let nearest = 0;
    points.forEach((point, index) => {
      if (Math.abs(scaled.x(point.at) - place) < Math.abs(scaled.x(points[nearest].at) - place)) {
        nearest = index;
      }
    });
    cursor = nearest;
    mark();
  }

  function step(event) {
    const from = cursor ?? points.length - 1;
    const moves = {
      ArrowLeft: from - 1,
      ArrowDown: from - 1,
      ArrowRight: from + 1,
      ArrowUp: from + 1,
      PageDown: from - 10,
      PageUp: from + 10,
      Home: 0,
      End: points.length - 1,
    };
    if (event.key === 'Escape') {
      cursor = null;
    } else if (event.key in moves && points.length > 0) {
      event.preventDefault();
      cursor = Math.min(Math.max(moves[event.key], 0), points.length - 1);
    } else {
      return;
    }
    mark();
  }

  slider.addEventListener('pointermove', move);
  slider.addEventListener('pointerleave', () => {
    cursor = null;
    mark();
  });
  slider.addEventListener('blur', () => {
    cursor = null;
    mark();
  });
  slider.addEventListener('keydown', step);
  new ResizeObserver((entries) => {
    width = Math.floor(entries[0].contentRect.width);
    draw();
  }).observe(slider);

  return {
    element,
    set(fresh, startedAt) {
      start = startedAt;
      points = thin(fresh);
      draw();
    },
    add(point) {
      const before = points.at(-1);
      if (before && point.at <= before.at) {
        return;
      }
      points = thin([...points, point]);
      draw();
    },
  };
}

// Commits [{ at, rows }] become rates: the rows of each over the time since the one before.
//
// Workers commit side by side: what comes at about the same time is one point, or a moment
// between two commits would look like a burst.
export function ratesOfCommits(commits, startedAt) {
  const timed = commits.map((commit) => ({ at: new Date(commit.at).getTime(), rows: Number(commit.rows) }));
  const last = timed.at(-1)?.at ?? startedAt;
  const step = Math.max((last - startedAt) / pointsOfRun, stepMin);
  const points = [];
  let before = startedAt;
  let waiting = 0;
  for (const { at, rows } of timed) {
    waiting += rows;
    if (at - before >= step) {
      points.push({ at, rate: waiting / ((at - before) / 1000) });
      before = at;
      waiting = 0;
    }
  }
  if (waiting > 0 && last > startedAt) {
    // What is left over belongs to the last point, or is the only one.
    const joined = points.pop();
    const begin = points.at(-1)?.at ?? startedAt;
    const rows = waiting + (joined ? (joined.rate * (joined.at - begin)) / 1000 : 0);
    points.push({ at: last, rate: rows / ((last - begin) / 1000) });
  }
  return points;
}

// Few enough points to draw; neighbours are joined to the mean over their time.
function thin(points) {
  let kept = points;
  while (kept.length > pointsMax) {
    const joined = [];
    for (let index = 0; index < kept.length; index += 2) {
      const [one, two] = [kept[index], kept[index + 1]];
      joined.push(two ? { at: two.at, rate: (one.rate + two.rate) / 2 } : one);
    }
    kept = joined;
  }
  return kept;
}

// A round number at or above the peak, whose half is round too.
function niceCeiling(peak) {
  if (!(peak > 0)) {
    return 10;
  }
  const power = 10 ** Math.floor(Math.log10(peak));
  return [1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10].map((factor) => factor * power).find((ceiling) => ceiling >= peak);
}

function grid(ceiling, y, width) {
  return [0, 0.5, 1].map((part) => {
    const level = y(ceiling * part);
    return svg(
      'g',
      { class: part === 0 ? 'chart-base' : 'chart-grid' },
      svg('line', { x1: margin.left, x2: width - margin.right, y1: level, y2: level }),
      svg('text', { x: margin.left - 8, y: level + 4, 'text-anchor': 'end' }, brief(ceiling * part)),
    );
  });
}

const paces = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];

function timeAxis(start, end, x, width) {
  const span = (end - start) / 1000;
  const marksMax = Math.max(2, Math.floor((width - margin.left) / 88));
  const pace = paces.find((seconds) => span / seconds <= marksMax) ?? Math.ceil(span / marksMax / 86400) * 86400;
  const marks = [];
  for (let seconds = 0; seconds <= span; seconds += pace) {
    const at = x(start + seconds * 1000);
    const anchor = seconds === 0 ? 'start' : at > width - 40 ? 'end' : 'middle';
    marks.push(svg('text', { class: 'chart-time', x: at, y: height - 6, 'text-anchor': anchor }, elapsed(seconds)));
  }
  return marks;
}

function elapsed(seconds) {
  if (seconds < 60) {
    return `${seconds} s`;
  }
  if (seconds < 3600) {
    return `${(seconds / 60) % 1 === 0 ? seconds / 60 : (seconds / 60).toFixed(1)} min`;
  }
  return seconds < 86400 ? `${+(seconds / 3600).toFixed(1)} h` : `${+(seconds / 86400).toFixed(1)} d`;
}

function steps(points, start, x, y) {
  if (points.length === 0) {
    return null;
  }
  let line = '';
  let from = x(start);
  for (const point of points) {
    const level = y(point.rate).toFixed(1);
    line += `${line === '' ? `M${from.toFixed(1)} ${level}` : `V${level}`}H${x(point.at).toFixed(1)}`;
    from = x(point.at);
  }
  const base = y(0).toFixed(1);
  return [
    svg('path', { class: 'chart-area', d: `${line}V${base}H${x(start).toFixed(1)}Z` }),
    svg('path', { class: 'chart-line', d: line }),
  ];
}
