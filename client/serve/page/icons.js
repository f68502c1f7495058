// The icons, drawn here: an SVG element by its name.

const paths = {
  lock: 'M4.5 7V5a3.5 3.5 0 0 1 7 0v2M3.5 7h9v6.5h-9z',
  check: 'M3 8.5 6.5 12 13 4.5',
  cross: 'M4 4l8 8M12 4l-8 8',
  warn: 'M8 2.5 14.5 13.5h-13zM8 6.5v3.5M8 11.9v.2',
  play: 'M5 3.5v9l7.5-4.5z',
  stop: 'M4.5 4.5h7v7h-7z',
  turn: 'M13 8a5 5 0 1 1-1.5-3.6M13 2.5v3h-3',
  copy: 'M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3',
  key: 'M9.5 6.5a3 3 0 1 1-.9-2.1M9.5 6.5H14M12 6.5V9M6.5 6.5h.01',
  table: 'M2.5 3.5h11v9h-11zM2.5 6.5h11M6.5 6.5v6',
  bolt: 'M9 1.5 3.5 9H8l-1 5.5L12.5 7H8z',
  disk: 'M3 4c0-1.1 2.2-2 5-2s5 .9 5 2-2.2 2-5 2-5-.9-5-2zM3 4v8c0 1.1 2.2 2 5 2s5-.9 5-2V4M3 8c0 1.1 2.2 2 5 2s5-.9 5-2',
  dot: 'M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6z',
  right: 'M6 3.5 10.5 8 6 12.5',
};
const filled = new Set(['play', 'stop', 'dot', 'bolt']);

// Icons are signs beside words: assistive technology hears the words only.
export function icon(name) {
  const space = 'http://www.w3.org/2000/svg';
  const drawing = document.createElementNS(space, 'svg');
  drawing.setAttribute('viewBox', '0 0 16 16');
  drawing.setAttribute('class', filled.has(name) ? 'sign filled' : 'sign');
  drawing.setAttribute('aria-hidden', 'true');
  drawing.setAttribute('focusable', 'false');
  const line = document.createElementNS(space, 'path');
  line.setAttribute('d', paths[name]);
  drawing.append(line);
  return drawing;
}
