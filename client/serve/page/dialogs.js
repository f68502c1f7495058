// Asks before something is changed, shows details beside the page, and tells what came of an action.
//
// Native <dialog>: the browser keeps the focus inside, Esc closes, and the focus goes back where it was.

import { button, el, replace, signButton, announce } from './ui.js';

// Resolves to true if the person agrees; Esc, Cancel and a click outside mean no.
export function confirm({ title, text, action, kind = 'primary', test }) {
  return new Promise((resolve) => {
    const agree = button(action, { kind, test: 'confirm-yes', onClick: () => dialog.close('yes') });
    const refuse = button('Cancel', { test: 'confirm-no', onClick: () => dialog.close('no') });
    const dialog = el(
      'dialog',
      { class: 'confirm', 'aria-labelledby': 'confirm-title', 'aria-describedby': 'confirm-text', test },
      el('h2', { id: 'confirm-title' }, title),
      el('div', { id: 'confirm-text' }, text),
      el('div', { class: 'actions' }, refuse, agree),
    );
    closeOutside(dialog);
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === 'yes');
    });
    document.body.append(dialog);
    dialog.showModal();
    // What cannot be taken back is not one careless Enter away.
    (kind.includes('danger') ? refuse : agree).focus();
  });
}

// A panel at the side, over the whole width on a phone.
export function drawer({ title, test, onClose }) {
  const heading = el('h2', { id: 'drawer-title', tabindex: '-1' }, title);
  const body = el('div', { class: 'drawer-body' });
  const dialog = el(
    'dialog',
    { class: 'drawer', 'aria-labelledby': 'drawer-title', test },
    el(
      'div',
      { class: 'drawer-head' },
      heading,
      signButton('Close', 'cross', { test: 'drawer-close', onClick: () => dialog.close() }),
    ),
    body,
  );
  let silent = false;
  closeOutside(dialog);
  dialog.addEventListener('close', () => {
    dialog.remove();
    if (!silent) {
      onClose?.();
    }
  });
  document.body.append(dialog);
  dialog.showModal();
  heading.focus();
  return {
    dialog,
    body,
    heading,
    show: (...children) => replace(body, ...children),
    close() {
      silent = true;
      dialog.close();
    },
  };
}

// A short message; errors stay until they are closed.
export function toast(kind, text, { href, label } = {}) {
  const node = el(
    'div',
    { class: `toast ${kind}`, role: kind === 'bad' ? 'alert' : 'status', test: 'toast' },
    el('span', {}, text),
    href ? el('a', { href }, label) : null,
    signButton('Close message', 'cross', { test: 'toast-close', onClick: () => node.remove() }),
  );
  const place = document.getElementById('toasts');
  while (place.children.length >= 4) {
    place.firstElementChild.remove();
  }
  place.append(node);
  announce(text, true);
  if (kind !== 'bad') {
    setTimeout(() => node.remove(), 8000);
  }
}

// Dialogs lie above the page: whoever leaves the page leaves them too.
export function closeAll() {
  for (const dialog of document.querySelectorAll('dialog')) {
    dialog.remove();
  }
}

function closeOutside(dialog) {
  dialog.addEventListener('mousedown', (event) => {
    if (event.target === dialog) {
      const box = dialog.getBoundingClientRect();
      if (
        event.clientX < box.left ||
        event.clientX > box.right ||
        event.clientY < box.top ||
        event.clientY > box.bottom
      ) {
        dialog.close();
      }
    }
  });
}
