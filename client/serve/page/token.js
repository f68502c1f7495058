// Asks for a token when the server wants one, and shows the page again once it is there.

import { token, get, path, Problem } from './api.js';
import { el, replace } from './ui.js';
import { explain } from './states.js';

// Puts the form in place of the page; again() is called when the token was accepted.
export function tokenForm(main, again) {
  if (main.querySelector('[data-test="token-form"]')) {
    // The form itself asks with the token typed in, and tells what came of it.
    return;
  }
  const field = el('input', {
    id: 'token',
    type: 'password',
    name: 'token',
    autocomplete: 'off',
    spellcheck: 'false',
    required: true,
    maxlength: '4096',
    'aria-describedby': 'token-note token-error',
    test: 'token-input',
  });
  const wrong = el('p', { id: 'token-error', class: 'bad-text', role: 'alert', test: 'token-error' });
  const send = el('button', { type: 'submit', class: 'primary', test: 'token-submit' }, 'Use token');
  const form = el(
    'form',
    { class: 'card narrow', test: 'token-form', novalidate: '' },
    el('h1', { tabindex: '-1' }, 'A token, please'),
    el(
      'p',
      { class: 'muted', id: 'token-note' },
      'This server answers holders of a token only. It is kept in this tab until you close it.',
    ),
    el('div', { class: 'field' }, el('label', { for: 'token' }, 'Token'), field),
    wrong,
    el('div', { class: 'actions' }, send),
  );
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const value = field.value.trim();
    if (value === '') {
      wrong.textContent = 'Paste the token first.';
      field.focus();
      return;
    }
    send.disabled = true;
    wrong.textContent = '';
    token.set(value);
    try {
      await get(path(['jobs']));
    } catch (error) {
      if (error instanceof Problem && error.status === 401) {
        wrong.textContent = 'The server does not know this token.';
        field.setAttribute('aria-invalid', 'true');
        send.disabled = false;
        field.select();
        return;
      }
      if (error instanceof Problem && error.status !== 403) {
        wrong.textContent = `${explain(error).title}. Try again in a moment.`;
        send.disabled = false;
        return;
      }
    }
    again();
  });
  replace(main, form);
  document.title = 'Token · ferry';
  field.focus();
}

// The button in the head that forgets the token; it is there while a token is.
export function wireForget(again) {
  const node = document.getElementById('forget-token');
  const show = () => {
    node.hidden = token.get() === null;
  };
  node.addEventListener('click', () => {
    token.forget();
    show();
    again();
  });
  show();
  return show;
}
