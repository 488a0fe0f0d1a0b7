// Makes the reference of the protocol from the comments in proto/: one page for each file, and an overview. buf compiles
// the files and hands over their descriptors, with comments, as JSON.

import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';

/** Largest description of all files that is read from buf. */
const IMAGE_BYTES_MAX = 64 * 1024 * 1024;

// Numbers of fields in google/protobuf/descriptor.proto: a comment is found by the path of its element.
const FILE_MESSAGES = 4;
const FILE_ENUMS = 5;
const FILE_SERVICES = 6;
const MESSAGE_FIELDS = 2;
const MESSAGE_NESTED = 3;
const MESSAGE_ENUMS = 4;
const MESSAGE_ONEOFS = 8;
const ENUM_VALUES = 2;
const SERVICE_METHODS = 2;

/** The overview and the pages of all files, for `preprocessor.mjs`. */
export function protocolPages(repository) {
  const files = read(repository).filter((file) => !file.name.startsWith('google/'));
  files.sort((one, other) => one.name.localeCompare(other.name));
  const placeOf = new Map();
  for (const file of files) {
    const page = pagePath(file);
    for (const { fullName } of typesOf(file)) placeOf.set(`.${fullName}`, { page, anchor: anchorOf(fullName) });
  }
  const pages = files.map((file) => ({
    name: shortName(file),
    path: `protocol/${pagePath(file)}`,
    content: filePage(file, placeOf),
  }));
  return { overview: overviewPage(files), pages };
}

function read(repository) {
  const image = execFileSync('buf', ['build', resolve(repository, 'proto'), '-o', '-#format=json'], {
    encoding: 'utf8',
    maxBuffer: IMAGE_BYTES_MAX,
  });
  return JSON.parse(image).file.map((file) => ({ ...file, comments: commentsOf(file) }));
}

/** Comments by the path of what they are about, as "4,0,2,1". */
function commentsOf(file) {
  const comments = new Map();
  for (const { path, leadingComments } of file.sourceCodeInfo?.location ?? []) {
    if (path && leadingComments) comments.set(path.join(), leadingComments.replace(/^ /gm, '').trim());
  }
  return comments;
}

const pagePath = (file) => `${file.name.replace(/\.proto$/, '').replaceAll('/', '-')}.md`;
const shortName = (file) => file.name.split('/').at(-1);
const anchorOf = (fullName) => fullName.replaceAll('.', '-').toLowerCase();

/** Messages and enums of a file in their order, nested ones after the one they are in. */
function typesOf(file) {
  const found = [];
  const message = (type, prefix, path) => {
    const fullName = `${prefix}.${type.name}`;
    if (type.options?.mapEntry) return;
    found.push({ kind: 'message', type, fullName, path });
    (type.nestedType ?? []).forEach((nested, at) => message(nested, fullName, [...path, MESSAGE_NESTED, at]));
    (type.enumType ?? []).forEach((nested, at) =>
      found.push({ kind: 'enum', type: nested, fullName: `${fullName}.${nested.name}`, path: [...path, MESSAGE_ENUMS, at] }),
    );
  };
  (file.messageType ?? []).forEach((type, at) => message(type, file.package, [FILE_MESSAGES, at]));
  (file.enumType ?? []).forEach((type, at) =>
    found.push({ kind: 'enum', type, fullName: `${file.package}.${type.name}`, path: [FILE_ENUMS, at] }),
  );
  return found;
}

/** The first sentence of a comment. */
const firstSentence = (comment) => (comment ?? '').replace(/\s+/g, ' ').replace(/\. .*$/, '.');

/** A comment as one cell of a table. */
const cell = (comment) =>
  escaped(comment ?? '')
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.replace(/\s+/g, ' '))
    .join('<br><br>')
    .replaceAll('|', '\\|');

/** A comment as text of a page. It is written for people, so what looks like HTML in it is none. */
const escaped = (comment) => comment.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

function overviewPage(files) {
  const lines = [
    '# Protocol',
    '',
    'This reference is made from the comments in `proto/`, which are the specification. A server with reflection switched',
    'on (`syncline dev`) tells the same to grpcurl and similar tools. What the errors mean is on [a page of its own](errors.md).',
    '',
  ];
  for (const file of files) {
    (file.service ?? []).forEach((service, at) => {
      const path = [FILE_SERVICES, at];
      lines.push(`## [${service.name}](protocol/${pagePath(file)})`, '');
      lines.push(escaped(firstSentence(file.comments.get(path.join()))), '', '| method | what it does |', '|---|---|');
      (service.method ?? []).forEach((method, index) => {
        const comment = file.comments.get([...path, SERVICE_METHODS, index].join());
        const link = `protocol/${pagePath(file)}#${anchorOf(`${service.name}.${method.name}`)}`;
        lines.push(`| [${method.name}](${link}) | ${cell(firstSentence(comment))} |`);
      });
      lines.push('');
    });
  }
  lines.push('## Messages by file', '', '| file | messages and enums |', '|---|---|');
  for (const file of files) {
    const names = typesOf(file).map(
      ({ type, fullName }) => `[${type.name}](protocol/${pagePath(file)}#${anchorOf(fullName)})`,
    );
    lines.push(`| \`${file.name}\` | ${names.join(', ')} |`);
  }
  return `${lines.join('\n')}\n`;
}

function filePage(file, placeOf) {
  const lines = [`# ${shortName(file)}`, '', `Package \`${file.package}\`, file \`proto/${file.name}\`.`, ''];
  const typeLink = (typeName) => {
    const place = placeOf.get(typeName);
    const name = typeName.split('.').at(-1);
    return place ? `[${name}](${place.page}#${place.anchor})` : `\`${typeName.slice(1)}\``;
  };
  (file.service ?? []).forEach((service, at) => {
    const path = [FILE_SERVICES, at];
    lines.push(`## ${service.name}`, '', escaped(file.comments.get(path.join()) ?? ''), '');
    (service.method ?? []).forEach((method, index) => {
      const stream = (yes) => (yes ? 'a stream of ' : '');
      lines.push(
        `### ${method.name} { #${anchorOf(`${service.name}.${method.name}`)} }`,
        '',
        `Takes ${stream(method.clientStreaming)}${typeLink(method.inputType)}, answers ` +
          `${stream(method.serverStreaming)}${typeLink(method.outputType)}.`,
        '',
        escaped(file.comments.get([...path, SERVICE_METHODS, index].join()) ?? ''),
        '',
      );
    });
  });
  for (const { kind, type, fullName, path } of typesOf(file)) {
    const name = fullName.slice(file.package.length + 1);
    lines.push(`## ${name} { #${anchorOf(fullName)} }`, '', escaped(file.comments.get(path.join()) ?? ''), '');
    lines.push(...(kind === 'enum' ? enumTable(file, type, path) : fieldTable(file, type, path, typeLink)), '');
  }
  return `${lines.join('\n')}\n`;
}

function enumTable(file, type, path) {
  const rows = type.value.map((value, at) => {
    const comment = file.comments.get([...path, ENUM_VALUES, at].join());
    return `| \`${value.name}\` | ${value.number ?? 0} | ${cell(comment)} |`;
  });
  return ['| value | no. | meaning |', '|---|---|---|', ...rows];
}

function fieldTable(file, type, path, typeLink) {
  if (!type.field?.length) return ['*Has no fields.*'];
  const lines = [];
  (type.oneofDecl ?? []).forEach((oneof, at) => {
    const members = type.field.filter((field) => field.oneofIndex === at && !field.proto3Optional);
    if (members.length === 0) return;
    const comment = file.comments.get([...path, MESSAGE_ONEOFS, at].join()) ?? '';
    const names = members.map((field) => `\`${field.name}\``).join(', ');
    lines.push(`One of ${names} (\`${oneof.name}\`). ${escaped(comment.replace(/\s+/g, ' '))}`, '');
  });
  lines.push('| field | type | no. | meaning |', '|---|---|---|---|');
  type.field.forEach((field, at) => {
    const comment = file.comments.get([...path, MESSAGE_FIELDS, at].join());
    lines.push(`| \`${field.name}\` | ${fieldType(field, type, typeLink)} | ${field.number} | ${cell(comment)} |`);
  });
  return lines;
}

const scalarName = (field) => field.type.replace('TYPE_', '').toLowerCase();

function fieldType(field, message, typeLink) {
  const name = (part) => (part.typeName ? typeLink(part.typeName) : scalarName(part));
  const entry = (message.nestedType ?? []).find(
    (nested) => nested.options?.mapEntry && field.typeName?.endsWith(`.${message.name}.${nested.name}`),
  );
  if (entry) return `map from ${name(entry.field[0])} to ${name(entry.field[1])}`;
  if (field.label === 'LABEL_REPEATED') return `repeated ${name(field)}`;
  return field.proto3Optional ? `optional ${name(field)}` : name(field);
}
