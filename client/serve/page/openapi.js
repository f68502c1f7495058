// Reads an OpenAPI 3.1 document: operations by tag, schemas without references, examples, curl lines.
//
// Invariant: references and nesting are followed to a bounded depth, so that a circle ends.

const depthMax = 8;
const methods = ['get', 'post', 'put', 'patch', 'delete'];

// [{ tag, description, operations: [{ id, method, path, summary, description, parameters, body, responses, isOpen }] }]
export function operationsOf(document) {
  const groups = new Map();
  for (const tag of document.tags ?? []) {
    groups.set(tag.name, { tag: tag.name, description: tag.description, operations: [] });
  }
  for (const [path, item] of Object.entries(document.paths ?? {})) {
    for (const method of methods.filter((name) => item[name])) {
      const told = item[method];
      const tag = told.tags?.[0] ?? 'other';
      if (!groups.has(tag)) {
        groups.set(tag, { tag, operations: [] });
      }
      groups.get(tag).operations.push({
        id: `${method}-${path.replace(/[^a-z0-9]+/gi, '-').replace(/^-|-$/g, '')}`,
        method: method.toUpperCase(),
        path,
        summary: told.summary ?? '',
        description: told.description ?? '',
        parameters: [...(item.parameters ?? []), ...(told.parameters ?? [])].map((one) => resolve(document, one)),
        body: contentOf(document, resolve(document, told.requestBody)),
        responses: Object.entries(told.responses ?? {}).map(([status, answer]) => {
          const whole = resolve(document, answer);
          return { status, description: whole?.description ?? '', ...contentOf(document, whole) };
        }),
      });
    }
  }
  return [...groups.values()].filter((group) => group.operations.length > 0);
}

// What a reference points to, or the thing itself.
export function resolve(document, thing) {
  let found = thing;
  for (let step = 0; step < depthMax && found?.$ref; step += 1) {
    found = found.$ref
      .replace(/^#\//, '')
      .split('/')
      .reduce((place, name) => place?.[name.replaceAll('~1', '/').replaceAll('~0', '~')], document);
  }
  return found;
}

function contentOf(document, holder) {
  const [type, content] = Object.entries(holder?.content ?? {})[0] ?? [];
  return type
    ? { type, schema: content.schema, example: content.example ?? Object.values(content.examples ?? {})[0]?.value }
    : null;
}

// The kind of a schema in few words: "array of string or null", "integer 1 to 500".
export function typeText(document, schema, depth = 0) {
  const told = resolve(document, schema);
  if (!told || depth > depthMax) {
    return 'any';
  }
  if (told.const !== undefined) {
    return JSON.stringify(told.const);
  }
  if (told.enum) {
    return told.enum.map((one) => JSON.stringify(one)).join(' | ');
  }
  const choices = told.oneOf ?? told.anyOf;
  if (choices) {
    return [...new Set(choices.map((one) => typeText(document, one, depth + 1)))].join(' | ');
  }
  if (told.allOf) {
    return told.allOf.length === 1 ? typeText(document, told.allOf[0], depth + 1) : 'object';
  }
  const types = [].concat(told.type ?? (told.properties ? 'object' : 'any'));
  const words = types
    .map((type) =>
      type === 'array'
        ? `array of ${typeText(document, told.items, depth + 1)}`
        : type === 'string' && told.format
          ? told.format
          : type,
    )
    .join(' | ');
  return words + rangeText(told);
}

function rangeText(told) {
  const low = told.minimum ?? told.exclusiveMinimum ?? told.minLength ?? told.minItems;
  const high = told.maximum ?? told.exclusiveMaximum ?? told.maxLength ?? told.maxItems;
  const what =
    told.minLength !== undefined || told.maxLength !== undefined
      ? ' characters'
      : told.minItems !== undefined || told.maxItems !== undefined
        ? ' entries'
        : '';
  if (low !== undefined && high !== undefined) {
    return `, ${low} to ${high}${what}`;
  }
  if (high !== undefined) {
    return `, at most ${high}${what}`;
  }
  return low !== undefined && !(low === 0 && what === '') ? `, at least ${low}${what}` : '';
}

// The members of an object schema, those of its parts included; an array gives the members of its items.
export function membersOf(document, schema, depth = 0) {
  const told = resolve(document, schema);
  if (!told || depth > depthMax) {
    return [];
  }
  if (told.type === 'array' || [].concat(told.type ?? []).includes('array')) {
    return membersOf(document, told.items, depth + 1);
  }
  const parts = [
    ...(told.allOf ?? []),
    ...(told.oneOf ?? told.anyOf ?? []).filter((one) => resolve(document, one)?.type !== 'null').slice(0, 1),
  ];
  const own = Object.entries(told.properties ?? {}).map(([name, member]) => ({
    name,
    schema: member,
    isRequired: told.required?.includes(name) ?? false,
    type: typeText(document, member),
    description: member.description ?? resolve(document, member)?.description ?? '',
  }));
  return [...parts.flatMap((part) => membersOf(document, part, depth + 1)), ...own];
}

// A value as the schema describes it: its own example where there is one.
export function exampleOf(document, schema, depth = 0) {
  const told = resolve(document, schema);
  if (!told || depth > depthMax) {
    return null;
  }
  const given = schema?.example ?? told.example ?? told.examples?.[0] ?? told.const ?? told.default ?? told.enum?.[0];
  if (given !== undefined) {
    return given;
  }
  const choices = told.oneOf ?? told.anyOf;
  if (choices) {
    return exampleOf(document, choices.find((one) => resolve(document, one)?.type !== 'null') ?? choices[0], depth + 1);
  }
  if (told.allOf) {
    return Object.assign(
      {},
      ...told.allOf.map((part) => exampleOf(document, part, depth + 1)),
      ownExample(document, told, depth),
    );
  }
  const type = [].concat(told.type ?? (told.properties ? 'object' : 'null')).find((one) => one !== 'null') ?? 'null';
  switch (type) {
    case 'object':
      return ownExample(document, told, depth);
    case 'array':
      return [exampleOf(document, told.items, depth + 1)];
    case 'integer':
      return Math.max(told.minimum ?? 1, 1);
    case 'number':
      return Math.max(told.minimum ?? 1, 1);
    case 'boolean':
      return true;
    case 'string':
      return (
        { 'date-time': '2026-01-31T12:00:00Z', date: '2026-01-31', uuid: '9bf13331-ca11-4783-9939-42a447eaa099' }[
          told.format
        ] ?? 'text'
      );
    default:
      return null;
  }
}

function ownExample(document, told, depth) {
  return Object.fromEntries(
    Object.entries(told.properties ?? {}).map(([name, member]) => [name, exampleOf(document, member, depth + 1)]),
  );
}

// A line for a shell. Parameters of the path stand as {name} to be replaced, unless they have an example.
export function curlLine(document, operation, { origin, withToken }) {
  let path = operation.path;
  const query = [];
  for (const parameter of operation.parameters) {
    const example = parameter.example ?? resolve(document, parameter.schema)?.example;
    if (parameter.in === 'path' && example !== undefined) {
      path = path.replace(`{${parameter.name}}`, encodeURIComponent(String(example)));
    } else if (parameter.in === 'query' && parameter.required) {
      query.push(`${parameter.name}=${encodeURIComponent(String(example ?? exampleOf(document, parameter.schema)))}`);
    }
  }
  const parts = ['curl -sS'];
  if (operation.responses.some((answer) => answer.type === 'text/event-stream')) {
    parts.push('-N');
  }
  if (operation.method !== 'GET') {
    parts.push(`-X ${operation.method}`);
  }
  if (withToken) {
    parts.push('-H "Authorization: Bearer $FERRY_TOKEN"');
  }
  if (operation.body) {
    const example = operation.body.example ?? exampleOf(document, operation.body.schema);
    parts.push(`-H 'Content-Type: ${operation.body.type}' -d ${quoted(JSON.stringify(example))}`);
  }
  parts.push(quoted(`${origin}${path}${query.length > 0 ? `?${query.join('&')}` : ''}`));
  return parts.join(' ');
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
