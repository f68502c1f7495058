// Looks at the page as it stands, and gives a line for each thing that keeps somebody out.
//
// Names and structure after WCAG 2.2 (1.1.1, 1.3.1, 2.4.6, 4.1.2), contrast after 1.4.3: 4.5 to 1, large text 3 to 1.
const problems = [];
const dialog = document.querySelector('dialog[open]');
const scope = dialog ?? document;
const squeeze = (text) => text.replace(/\s+/g, ' ').trim();
const describe = (node) =>
  `<${node.tagName.toLowerCase()} class="${node.getAttribute('class') ?? ''}"> "${squeeze(node.textContent).slice(0, 40)}"`;
const isShown = (node) => node.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true });
const isHidden = (node) => node.closest('[aria-hidden="true"]') !== null;
const shown = (selector) => [...scope.querySelectorAll(selector)].filter((node) => isShown(node) && !isHidden(node));
const referred = (node, name) =>
  (node.getAttribute(name) ?? '').split(/\s+/).filter((id) => id !== '').map((id) => document.getElementById(id));
const nameOf = (node) => {
  const spoken = referred(node, 'aria-labelledby').map((target) => target?.textContent ?? '').join(' ');
  const labels = [...(node.labels ?? [])].map((label) => label.textContent).join(' ');
  return squeeze(node.getAttribute('aria-label') || spoken || labels || '');
};

// Structure: language, title, one main, one h1, headings that leave out no level.
if (!document.documentElement.lang) problems.push('the document names no language');
if (squeeze(document.title) === '') problems.push('the document has no title');
if (document.querySelectorAll('main').length !== 1) problems.push('there is not one main');
if ([...document.querySelectorAll('h1')].filter(isShown).length !== 1) problems.push('there is not one h1');
let level = dialog ? 1 : 0;
for (const heading of shown('h1, h2, h3, h4, h5, h6')) {
  const own = Number(heading.tagName[1]);
  if (own > level + 1) problems.push(`level ${level} is followed by ${describe(heading)}`);
  if (squeeze(heading.textContent) === '') problems.push(`an empty heading: ${describe(heading)}`);
  level = own;
}
const ids = [...document.querySelectorAll('[id]')].map((node) => node.id);
for (const id of ids.filter((one, index) => ids.indexOf(one) !== index)) problems.push(`two elements have the id ${id}`);
for (const name of ['aria-labelledby', 'aria-describedby', 'aria-controls']) {
  for (const node of scope.querySelectorAll(`[${name}]`)) {
    if (referred(node, name).includes(null)) problems.push(`${name} of ${describe(node)} leads nowhere`);
  }
}
for (const label of scope.querySelectorAll('label')) {
  if (label.control === null) problems.push(`a label of nothing: ${describe(label)}`);
}

// Names: of everything that one uses, and of everything that is a picture.
for (const field of shown('input, select, textarea, progress, meter')) {
  if (nameOf(field) === '') problems.push(`without a label: ${describe(field)} ${field.name ?? ''}`);
}
for (const node of shown('button, a[href], [role="button"], [role="region"], nav, dialog, form[role="search"]')) {
  const isText = node.matches('button, a, [role="button"]') ? squeeze(node.textContent) : '';
  if (nameOf(node) === '' && isText === '') problems.push(`without a name: ${describe(node)}`);
}
for (const table of shown('table')) {
  if (!table.caption && nameOf(table) === '') problems.push(`a table without a caption: ${describe(table)}`);
}
for (const picture of shown('svg, img')) {
  const title = picture.querySelector(':scope > title')?.textContent ?? picture.getAttribute('alt');
  if (nameOf(picture) === '' && !title) problems.push(`a picture without a name: ${describe(picture)}`);
}
for (const node of scope.querySelectorAll('[tabindex]')) {
  if (node.tabIndex > 0) problems.push(`out of order by tabindex: ${describe(node)}`);
}
for (const node of scope.querySelectorAll('[aria-hidden="true"]')) {
  const inside = [node, ...node.querySelectorAll('a[href], button, input, select, textarea, [tabindex="0"]')];
  if (inside.some((one) => isShown(one) && one.tabIndex >= 0)) problems.push(`hidden, but one gets there: ${describe(node)}`);
}

// Contrast: of each text with what lies behind it.
const colour = (text) => {
  const parts = /^rgba?\(([\d.]+), ([\d.]+), ([\d.]+)(?:, ([\d.]+))?\)$/.exec(text);
  return parts && [Number(parts[1]), Number(parts[2]), Number(parts[3]), Number(parts[4] ?? 1)];
};
const over = (front, back) => [0, 1, 2].map((index) => front[index] * front[3] + back[index] * (1 - front[3])).concat(1);
const luminance = (rgb) => {
  const linear = rgb.slice(0, 3).map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
};
const behind = (node) => {
  const layers = [];
  for (let at = node; at !== null; at = at.parentElement) {
    const layer = colour(getComputedStyle(at).backgroundColor);
    if (layer === null) problems.push(`an unknown colour behind ${describe(node)}`);
    else if (layer[3] > 0) layers.push(layer);
    if (layer?.[3] === 1) break;
  }
  return layers.reduceRight((back, front) => over(front, back), [255, 255, 255, 1]);
};
const check = (node, style, what) => {
  const back = behind(node);
  const written = colour(node.closest('svg') ? style.fill : style.color);
  if (written === null) {
    problems.push(`an unknown colour of ${describe(node)}`);
    return;
  }
  let opacity = written[3];
  for (let at = node; at !== null; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
  const front = over([...written.slice(0, 3), opacity], back);
  const [light, dark] = [luminance(front), luminance(back)].sort((one, other) => other - one);
  const ratio = (light + 0.05) / (dark + 0.05);
  const size = Number.parseFloat(style.fontSize);
  const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  if (ratio < (isLarge ? 3 : 4.5)) problems.push(`contrast ${ratio.toFixed(2)} of ${what} ${describe(node)}`);
};
let texts = 0;
const textNodes = document.createTreeWalker(scope === document ? document.body : dialog, NodeFilter.SHOW_TEXT);
const looked = new Set();
while (textNodes.nextNode() && looked.size < 500) {
  const node = textNodes.currentNode.parentElement;
  const isText = squeeze(textNodes.currentNode.data) !== '';
  if (!isText || looked.has(node) || !isShown(node) || node.matches('.unseen, .unseen *, .skip, noscript, option')) continue;
  // What cannot be used just now is left out by the standard.
  if (node.closest('button:disabled, :disabled') !== null) continue;
  looked.add(node);
  texts += 1;
  check(node, getComputedStyle(node), 'the text');
}
for (const field of shown('input[placeholder]:placeholder-shown')) check(field, getComputedStyle(field, '::placeholder'), 'the example in');
if (texts < 10) problems.push(`only ${texts} texts were found: was the page there?`);
return problems;
