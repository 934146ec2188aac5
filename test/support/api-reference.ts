// docs/api.md, the reference of all that they export, as Markdown.
import { format, resolveConfig } from 'prettier'
import ts from 'typescript'
import type { Documented, Door, PublicName } from './public-api.js'

const head = `# API

Every public name, taken from its TSDoc by \`npm run docs\`. The [README](../README.md) shows them at work.
`

/** Writes the page. */
export async function apiReference(doors: readonly Door[], path: string): Promise<string> {
  const known = new Set(doors.flatMap(({ names }) => names.map(({ name }) => name)))
  const text = [head, ...doors.flatMap((door) => sectionOf(door, doors, known))].join('\n\n')
  return await format(text, { ...(await resolveConfig(path)), filepath: path })
}

/* A name that another door has as well is described there. */
function sectionOf(door: Door, doors: readonly Door[], known: ReadonlySet<string>): string[] {
  const before = doors.slice(0, doors.indexOf(door))
  const isElsewhere = ({ name }: PublicName) => before.some(({ names }) => names.some((other) => other.name === name))
  const own = door.names.filter((name) => !isElsewhere(name))
  const others = door.names.filter(isElsewhere).map(({ name }) => linkTo(name))
  const also = others.length === 0 ? [] : [`It exports ${others.join(', ')} as well.`]
  const index = own.map(({ name }) => linkTo(name)).join(' · ')
  return [`## \`${door.specifier}\``, door.about, ...also, index, ...own.flatMap((name) => entryOf(name, known))]
}

function entryOf(name: PublicName, known: ReadonlySet<string>): string[] {
  return [
    `### ${name.name}`,
    codeOf(name),
    ...describe(name, known),
    ...name.members.flatMap((member) => [`**\`${signatureOf(member)}\`**`, ...describe(member, known)]),
  ]
}

function describe({ text, tags }: Documented, known: ReadonlySet<string>): string[] {
  const linked = (prose: string) =>
    prose.replaceAll(/\{@link (\w+)((?:\.\w+)?) *\}/g, (_, target: string, member: string) =>
      known.has(target) ? linkTo(target, target + member) : `\`${target}${member}\``,
    )
  const of = (kind: string) => tags.filter(({ name }) => name === kind).map(({ text: said }) => said)
  return [
    linked(text),
    // Not as `ts`: a block of that kind names the file that the tests run.
    ...of('example').map((example) => example.replaceAll('```ts', '```typescript')),
    of('param')
      .map((param) => `- ${linked(param.replace(/^(\w+)\s*-?\s*/, '`$1`: '))}`)
      .join('\n'),
    ...of('returns').map((returns) => `Returns ${linked(returns)}`),
    of('throws')
      .map((throws) => `- ${linked(throwsOf(throws))}`)
      .join('\n'),
  ].filter((part) => part !== '')
}

/* `{TypeError} (rejects) if …` */
function throwsOf(text: string): string {
  const [, type = '', rejects, rest = ''] = /^(?:\{(\w+)\} )?(\(rejects\) )?(.*)$/s.exec(text) ?? []
  const verb = rejects === undefined ? 'Throws' : 'Rejects with'
  return [verb, type === '' ? '' : `\`${type}\``, rest].filter(Boolean).join(' ')
}

function linkTo(name: string, label = name): string {
  return `[\`${label}\`](#${name.toLowerCase()})`
}

/** What stands before the members, or all of it where there are none. */
function codeOf({ declarations, members }: PublicName): string {
  const lines = declarations.flatMap((declaration) => {
    if (ts.isFunctionDeclaration(declaration)) {
      // The implementation of an overloaded function is nobody's affair.
      return declaration.body !== undefined && declarations.length > 1 ? [] : [functionOf(declaration)]
    }
    if (ts.isVariableDeclaration(declaration)) return [`const ${declaration.name.getText()}: { … }`]
    if (ts.isTypeAliasDeclaration(declaration)) return [typeOf(declaration)]
    const [declared = ''] = textOf(declaration).split(/ implements | \{(?=\s)/)
    return [`${declared} { … }`]
  })
  const shown = members.length === 0 ? lines : lines.map((line) => line.replace(/ = \{.*$/s, ' = { … }'))
  return `\`\`\`typescript\n${shown.join('\n')}\n\`\`\``
}

/* Without what it does. */
function functionOf(declaration: ts.FunctionDeclaration | ts.MethodDeclaration): string {
  const text = textOf(declaration)
  const body = declaration.body === undefined ? '' : declaration.body.getText()
  return text.slice(0, text.length - body.length).trim()
}

/* How JsonOf does it is for its own file: that is a conditional type. */
function typeOf(declaration: ts.TypeAliasDeclaration): string {
  const text = textOf(declaration)
  return ts.isConditionalTypeNode(declaration.type) ? text.replace(/ =.*$/s, ' = …') : text
}

function textOf(declaration: ts.Node): string {
  return declaration.getText().replace(/^export /, '')
}

/** One line; what an optional member says by its `?`, it does not say again. */
function signatureOf({ declarations }: Documented): string {
  const [declaration] = declarations
  if (declaration === undefined) return ''
  const text = ts.isMethodDeclaration(declaration) ? functionOf(declaration) : inline(declaration)
  return text
    .replace(/^override /, '')
    .replace(/(\?: .*) \| undefined$/, '$1')
    .replaceAll(/(\w\?: [^,;{}()]*?) \| undefined/g, '$1')
}

/* An object type without the comments of its members: they stand in the text. */
function inline(node: ts.Node): string {
  const type = ts.isPropertySignature(node) ? node.type : undefined
  const text = node.getText()
  if (type === undefined || !ts.isTypeLiteralNode(type)) return text.replaceAll(/\s+/g, ' ')
  const before = text.slice(0, text.length - type.getText().length)
  return `${before}{ ${type.members.map((member) => inline(member).replace(/;$/, '')).join('; ')} }`
}
