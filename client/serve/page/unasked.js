// Says above a list of several jobs which of them could not be asked, so that what is missing is not taken for nothing.

import { addressOf } from './jobs.js';
import { writtenOut } from './format.js';
import { icon } from './icons.js';
import { announce, el, link, replace } from './ui.js';
import { plainName } from './values.js';

// update(names) shows the names of jobs; with none it is not there.
export function unaskedNotice(names) {
  const element = el('p', { class: 'notice quiet', test: 'unasked' });
  let told = '';

  function update(fresh) {
    const now = JSON.stringify(fresh);
    element.hidden = fresh.length === 0;
    if (now === told) {
      return;
    }
    told = now;
    const links = fresh.map((name) => link(addressOf.job(name), plainName(name), { test: 'unasked-job' }));
    const listed = links.flatMap((node, index) => (index === 0 ? [node] : [', ', node]));
    replace(element, icon('warn'), el('span', {}, 'Could not be asked: ', listed));
    if (fresh.length > 0) {
      announce(`Could not be asked: ${fresh.map((name) => writtenOut(name)).join(', ')}`);
    }
  }

  update(names);
  return { element, update };
}
