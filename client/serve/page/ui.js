// Builds the pieces that every page is made of.
//
// Invariant: data becomes text nodes and attributes only; nothing here parses markup, because values are hostile.

import { icon } from './icons.js';
import { ago, dateTime } from './format.js';

// el('a', { class: 'x', href: '/', test: 'name', on: { click } }, 'text', node, …)
export function el(tag, attributes = {}, ...children) {
  return build(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return build(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}

export function replace(node, ...children) {
  node.replaceChildren(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
  );
}

// Changes text only where it differs, so that a selection and a reader's place survive.
export function setText(node, text) {
  if (node.textContent !== text) {
    node.textContent = text;
  }
}

export function unseen(text) {
  return el('span', { class: 'unseen' }, text);
}

export function button(label, { kind = '', sign, test, title, onClick, disabled, small } = {}) {
  return el(
    'button',
    {
      type: 'button',
      class: `${kind}${small ? ' small' : ''}`.trim() || null,
      test,
      title,
      disabled,
      on: { click: onClick },
    },
    sign ? icon(sign) : null,
    label,
  );
}

// A button that shows only a sign; its label is spoken and is its tooltip.
export function signButton(label, sign, { test, onClick } = {}) {
  return el(
    'button',
    { type: 'button', class: 'quiet icon', test, title: label, 'aria-label': label, on: { click: onClick } },
    icon(sign),
  );
}

export function link(href, children, { test, title, kind } = {}) {
  return el('a', { href, test, title, class: kind }, children);
}

// A word with a sign; kinds: plain, accent, good, warn, bad.
export function badge(kind, sign, text, test) {
  return el('span', { class: `badge ${kind}`, test }, icon(sign), text);
}

const states = {
  running: ['accent', 'play', 'running'],
  starting: ['accent', 'play', 'starting'],
  finished: ['good', 'check', 'finished'],
  failed: ['bad', 'cross', 'failed'],
  stopped: ['warn', 'stop', 'stopped'],
  idle: ['plain', 'dot', 'idle'],
  unavailable: ['bad', 'warn', 'unavailable'],
  open: ['warn', 'warn', 'open'],
  replayed: ['good', 'check', 'replayed'],
  discarded: ['plain', 'cross', 'discarded'],
};

export function stateBadge(state, test) {
  const [kind, sign, text] = states[state] ?? ['plain', 'dot', String(state)];
  const node = badge(kind, sign, text, test);
  node.dataset.state = String(state);
  return node;
}

// A time: how long ago, with the whole of it as tooltip; kept fresh by tick().
export function when(moment, test) {
  if (!moment) {
    return el('span', { class: 'muted', test }, '–');
  }
  return el('time', { datetime: moment, title: `${dateTime(moment)} (${moment})`, test, 'data-ago': '' }, ago(moment));
}

setInterval(() => {
  for (const node of document.querySelectorAll('time[data-ago]')) {
    setText(node, ago(node.dateTime));
  }
}, 5000);

// The head of a page: where one is, its title, what one may do.
export function pageHead({ trail = [], title, beside = [], actions = [], test }) {
  return el(
    'div',
    { class: 'head' },
    trail.length > 0
      ? el(
          'nav',
          { class: 'trail', 'aria-label': 'Where you are' },
          trail.map(([text, href]) => [el('a', { href }, text), el('span', { 'aria-hidden': 'true' }, '/')]),
        )
      : null,
    el(
      'div',
      { class: 'head-line' },
      el('h1', { tabindex: '-1', test: test ?? 'title' }, title),
      beside,
      actions.length > 0 ? el('div', { class: 'actions' }, actions) : null,
    ),
  );
}

let sections = 0;

export function section(title, { beside, test, kind = '' } = {}, ...children) {
  sections += 1;
  const id = `section-${sections}`;
  return el(
    'section',
    { class: `card ${kind}`.trim(), 'aria-labelledby': id, test },
    el('div', { class: 'card-head' }, el('h2', { id }, title), beside),
    children,
  );
}

// Name and value pairs in a line or a list.
export function facts(pairs, kind = 'facts') {
  return el(
    'dl',
    { class: kind },
    pairs.filter(Boolean).map(([name, value, test]) => el('div', {}, el('dt', {}, name), el('dd', { test }, value))),
  );
}

// Says something to assistive technology; at most every five seconds unless it is urgent.
let saidAt = 0;
export function announce(text, urgent = false) {
  const now = Date.now();
  if (!urgent && now - saidAt < 5000) {
    return;
  }
  saidAt = now;
  document.getElementById('announce').textContent = text;
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Over plain http there is no clipboard API; a selection can still be copied.
    const field = el('textarea', { class: 'unseen', readonly: '' });
    field.value = text;
    (document.querySelector('dialog[open]') ?? document.body).append(field);
    field.select();
    const done = document.execCommand('copy');
    field.remove();
    return done;
  }
}

export function copyButton(text, label = 'Copy', test = 'copy') {
  const node = signButton(label, 'copy', {
    test,
    onClick: async () => {
      const done = await copy(typeof text === 'function' ? text() : text);
      announce(done ? 'Copied' : 'Could not be copied', true);
      node.replaceChildren(icon(done ? 'check' : 'cross'));
      setTimeout(() => node.replaceChildren(icon('copy')), 1200);
    },
  });
  return node;
}

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) {
      continue;
    }
    if (name === 'on') {
      for (const [event, handler] of Object.entries(value)) {
        if (handler) {
          node.addEventListener(event, handler);
        }
      }
    } else if (name === 'test') {
      node.setAttribute('data-test', value);
    } else {
      node.setAttribute(name, value === true ? '' : String(value));
    }
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) {
      node.append(child instanceof Node ? child : String(child));
    }
  }
  return node;
}
