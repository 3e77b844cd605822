// Writes src/api.ts: the API's schemas and operations, of openapi.json, as types. What the API does not have does not compile.
import { readFileSync, writeFileSync } from 'node:fs';

const here = new URL('.', import.meta.url);
const api = JSON.parse(readFileSync(new URL('../openapi.json', here), 'utf8'));
const PREFIX = '/api/v1';

const isNull = (schema) => schema.type === 'null';

function typeOf(schema) {
  if (!schema || Object.keys(schema).length === 0) return 'unknown';
  if (schema.$ref) return schema.$ref.split('/').pop();
  for (const word of ['oneOf', 'anyOf']) if (schema[word]) return union(schema[word].map(typeOf));
  if (schema.allOf) return schema.allOf.map(typeOf).join(' & ');
  if ('const' in schema) return JSON.stringify(schema.const);
  if (schema.enum) return union(schema.enum.map((value) => JSON.stringify(value)));
  if (isNull(schema)) return 'null';
  if (Array.isArray(schema.type)) return union(schema.type.map((type) => typeOf({ ...schema, type })));
  switch (schema.type) {
    case 'string': return 'string';
    case 'integer': case 'number': return 'number';
    case 'boolean': return 'boolean';
    case 'array': return `Array<${typeOf(schema.items)}>`;
    case 'object': return objectOf(schema);
    default: return schema.properties ? objectOf(schema) : 'unknown';
  }
}

function union(types) {
  return [...new Set(types)].join(' | ');
}

function objectOf(schema) {
  if (!schema.properties) {
    const rest = schema.additionalProperties;
    return `Record<string, ${rest && typeof rest === 'object' ? typeOf(rest) : 'unknown'}>`;
  }
  const required = new Set(schema.required ?? []);
  const fields = Object.entries(schema.properties)
    .map(([name, field]) => `${JSON.stringify(name)}${required.has(name) ? '' : '?'}: ${typeOf(field)}`);
  return `{ ${fields.join('; ')} }`;
}

function resolve(thing) {
  if (!thing?.$ref) return thing;
  return thing.$ref.slice(2).split('/').reduce((at, key) => at[key], api);
}

const lines = ['// Made by types.mjs of openapi.json; not to be edited.', ''];
for (const [name, schema] of Object.entries(api.components.schemas)) lines.push(`export type ${name} = ${typeOf(schema)};`);
lines.push('', 'export interface Operations {');
for (const [path, item] of Object.entries(api.paths)) {
  for (const [method, operation] of Object.entries(item)) {
    if (!operation.responses) continue;
    const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map(resolve);
    const fields = (where) => parameters.filter((one) => one.in === where && !/^x-/i.test(one.name))
      .map((one) => `${JSON.stringify(one.name)}${one.required ? '' : '?'}: ${typeOf(one.schema)}`);
    const schemaOf = (body) => resolve(body)?.content?.['application/json']?.schema;
    // 202 is told of by `request.ts`, which follows the work and gives what it ends with.
    const answers = Object.entries(operation.responses).filter(([status]) => status.startsWith('2') && status !== '202')
      .map(([, answer]) => schemaOf(answer)).map((schema) => (schema ? typeOf(schema) : 'undefined'));
    const body = schemaOf(operation.requestBody);
    lines.push(`  ${JSON.stringify(`${method.toUpperCase()} ${path.slice(PREFIX.length)}`)}: {`);
    lines.push(`    path: { ${fields('path').join('; ')} };`);
    lines.push(`    query: { ${fields('query').join('; ')} };`);
    lines.push(`    body: ${body ? typeOf(body) : 'undefined'};`);
    lines.push(`    answer: ${union(answers)};`);
    lines.push('  };');
  }
}
lines.push('}', '');
writeFileSync(new URL('src/api.ts', here), lines.join('\n'));
