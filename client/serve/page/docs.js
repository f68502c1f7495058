// The page that reads /api/v1/openapi.json to a person: operations with search, their shapes, and curl lines to copy.

import { get, path, token } from './api.js';
import { copyButton, el, pageHead, replace, setText } from './ui.js';
import { asProblem, empty, errorState, loading } from './states.js';
import { plural } from './format.js';
import { curlLine, exampleOf, membersOf, operationsOf, typeText } from './openapi.js';
import { tokenForm, wireForget } from './token.js';

const main = document.getElementById('main');
document.querySelector('.pages a[data-page=docs]').setAttribute('aria-current', 'page');
const showForget = wireForget(() => read());

async function read() {
  showForget();
  replace(main, pageHead({ title: 'API' }), loading(10));
  try {
    const document = await get(path(['openapi.json']));
    show(document);
  } catch (error) {
    if (error.status !== 401) {
      replace(main, pageHead({ title: 'API' }), errorState(asProblem(error), read));
    }
  }
}

function show(openapi) {
  document.title = `API · ferry`;
  const groups = operationsOf(openapi);
  const search = el('input', {
    id: 'docs-search',
    type: 'search',
    placeholder: 'records, quarantine, POST …',
    autocomplete: 'off',
    spellcheck: 'false',
    maxlength: '100',
    test: 'docs-search',
  });
  const found = el('p', { class: 'muted small', role: 'status', test: 'docs-found' });
  const nothing = empty('No operation fits', 'Search for a word of its path, its method or its description.');
  const entries = [];
  const index = el('nav', { class: 'docs-index', 'aria-label': 'Operations' });
  const body = el('div', { class: 'docs-body' });
  for (const group of groups) {
    const links = el('ul', {});
    const block = el(
      'section',
      { 'aria-label': group.tag },
      el('h2', { class: 'docs-tag' }, group.tag),
      group.description ? el('p', { class: 'muted' }, prose(group.description)) : null,
    );
    const heading = el('div', {}, el('h2', { class: 'docs-tag' }, group.tag), links);
    for (const operation of group.operations) {
      const item = el(
        'li',
        {},
        el(
          'a',
          { href: `#${operation.id}`, test: 'docs-link' },
          methodSign(operation.method),
          el('span', { class: 'mono' }, breakable(shortPath(operation.path))),
        ),
      );
      const card = operationCard(openapi, operation);
      links.append(item);
      block.append(card);
      const words =
        `${operation.method} ${operation.path} ${operation.summary} ${operation.description} ${group.tag} ${operation.parameters.map((one) => one.name).join(' ')}`.toLowerCase();
      entries.push({ words, item, card, block, heading });
    }
    index.append(heading);
    body.append(block);
  }
  const filter = () => {
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    const alive = new Set();
    for (const entry of entries) {
      const fits = wanted.every((word) => entry.words.includes(word));
      entry.item.hidden = !fits;
      entry.card.hidden = !fits;
      if (fits) {
        count += 1;
        alive.add(entry.block).add(entry.heading);
      }
    }
    for (const entry of entries) {
      entry.block.hidden = !alive.has(entry.block);
      entry.heading.hidden = !alive.has(entry.heading);
    }
    nothing.hidden = count > 0;
    setText(found, plural(count, 'operation'));
  };
  search.addEventListener('input', filter);
  filter();
  replace(
    main,
    pageHead({
      title: openapi.info?.title ?? 'API',
      beside: el('span', { class: 'muted' }, openapi.info?.version ?? ''),
      actions: [el('a', { class: 'button', href: '/api/v1/openapi.json', test: 'docs-document' }, 'OpenAPI document')],
    }),
    openapi.info?.description ? el('p', { class: 'docs-intro' }, prose(openapi.info.description)) : null,
    el(
      'div',
      { class: 'docs' },
      el(
        'div',
        { class: 'docs-side' },
        el('div', { class: 'field' }, el('label', { for: 'docs-search' }, 'Search'), search),
        found,
        index,
      ),
      el('div', {}, nothing, body),
    ),
  );
  if (location.hash) {
    document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
  }
}

function operationCard(openapi, operation) {
  const curl = curlLine(openapi, operation, { origin: location.origin, withToken: token.get() !== null });
  const members = operation.body ? membersOf(openapi, operation.body.schema) : [];
  return el(
    'article',
    {
      class: 'card operation',
      id: operation.id,
      test: 'docs-operation',
      'data-method': operation.method,
      'data-path': operation.path,
    },
    el(
      'div',
      { class: 'operation-head' },
      methodSign(operation.method),
      el('h3', { class: 'mono' }, breakable(operation.path)),
    ),
    operation.summary ? el('p', { class: 'strong' }, prose(operation.summary)) : null,
    operation.description && operation.description !== operation.summary
      ? el('p', { class: 'docs-text' }, prose(operation.description))
      : null,
    el(
      'div',
      { class: 'command' },
      el('pre', { test: 'docs-curl' }, curl),
      copyButton(curl, 'Copy curl line', 'copy-curl'),
    ),
    operation.parameters.length > 0
      ? memberTable(
          'Parameters',
          operation.parameters.map((one) => ({
            name: one.name,
            type: typeText(openapi, one.schema),
            description: one.description ?? '',
            isRequired: one.required,
            place: one.in,
          })),
        )
      : null,
    members.length > 0 ? memberTable('Body', members) : null,
    operation.responses.length > 0 ? responses(openapi, operation.responses) : null,
  );
}

function responses(openapi, answers) {
  const good = answers.filter((answer) => answer.status.startsWith('2'));
  const others = answers.filter((answer) => !answer.status.startsWith('2'));
  return el(
    'div',
    {},
    good.map((answer) => {
      const members = answer.schema ? membersOf(openapi, answer.schema) : [];
      const example = answer.example ?? (answer.schema ? exampleOf(openapi, answer.schema) : null);
      return el(
        'details',
        {},
        el(
          'summary',
          {},
          el('span', { class: 'mono good-text' }, answer.status),
          ' ',
          prose(answer.description),
          answer.type ? el('span', { class: 'muted small' }, ` ${answer.type}`) : null,
        ),
        members.length > 0 ? memberTable('Members', members) : null,
        example !== null && typeof example === 'object'
          ? el('pre', { class: 'example', tabindex: '0' }, JSON.stringify(example, null, 2))
          : null,
      );
    }),
    others.length > 0
      ? el(
          'ul',
          { class: 'statuses' },
          others.map((answer) =>
            el(
              'li',
              {},
              el('span', { class: 'mono' }, answer.status),
              ' ',
              el('span', { class: 'muted' }, prose(answer.description)),
            ),
          ),
        )
      : null,
  );
}

function memberTable(caption, members) {
  return el(
    'div',
    { class: 'table-frame' },
    el(
      'table',
      { class: 'members' },
      el('caption', {}, caption),
      el(
        'tbody',
        {},
        members.map((member) =>
          el(
            'tr',
            {},
            el(
              'th',
              { scope: 'row', class: 'mono' },
              member.name,
              member.isRequired
                ? el('span', { class: 'muted', title: 'required' }, '*', el('span', { class: 'unseen' }, ' required'))
                : null,
            ),
            el('td', { class: 'mono muted' }, member.place ? `${member.place}: ` : '', member.type),
            el('td', {}, prose(member.description)),
          ),
        ),
      ),
    ),
  );
}

// A text of the document, where what stands between backticks is code.
function prose(text) {
  const parts = text.split('`');
  return parts.length % 2 === 0 ? text : parts.map((part, index) => (index % 2 === 1 ? el('code', {}, part) : part));
}

function methodSign(method) {
  return el('span', { class: `method ${method === 'GET' ? '' : 'writes'}`.trim() }, method);
}

function shortPath(written) {
  return written.replace(/^\/api\/v1/, '') || '/';
}

// Lines break before a slash, not in the middle of a name.
function breakable(written) {
  return written.split(/(?=\/)/).flatMap((part) => [document.createElement('wbr'), part]);
}

addEventListener('ferry:token-wanted', () => {
  showForget();
  tokenForm(main, read);
});
read();
