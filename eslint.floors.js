// The layout as a rule: src is a house, a file imports from its own floor and from floors below it, never upwards, never
// in a circle. Types count too: a type that points upwards is a thought that does.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import ts from 'typescript'

const src = join(import.meta.dirname, 'src')

/** The files of the ground floor; every other file at the top of src is a floor by itself, and so is every folder. */
const groundFiles = ['verdict.ts', 'errors.ts', 'clock.ts', 'option-checks.ts', 'session-hash.ts', 'trace.ts']

// Each line is a floor together with all that is below it.
const ground = ['ground']
const store = ['store', ...ground]
const live = ['live', ...store]
const handshake = ['handshake', ...live]
const options = ['options', ...handshake]
const upgrade = ['upgrade', ...options]
const beneathBridge = ['reporter', 'diagnostics', ...upgrade]
const bridge = ['bridge', ...beneathBridge]

/** Each floor, and what its files may import besides their own floor. */
const floors = {
  ground: [],
  store: ground,
  live: store,
  redis: store,
  handshake: live,
  options: handshake,
  upgrade: options,
  // What the stages report becomes events: it knows the words of live and no more.
  diagnostics: live,
  reporter: ['diagnostics', ...live],
  bridge: beneathBridge,
  // The doors. None imports another: each asks for optional packages of its own.
  index: bridge,
  'socket.io': bridge,
  testing: bridge,
}

/** @returns {string} the floor's name, or for a file that has none the path itself */
function floorOf(file) {
  const [first, ...inside] = relative(src, file).split(sep)
  if (inside.length > 0) return first
  return groundFiles.includes(first) ? 'ground' : first.replace(/\.ts$/, '')
}

/** @returns {string | undefined} the file that a relative specifier names; emitted and source extensions are the same file */
function fileOf(specifier, importer) {
  if (!specifier.startsWith('.')) return undefined
  return resolve(dirname(importer), specifier).replace(/\.js$/, '.ts')
}

/** @returns {string[]} the files that a file imports from its own floor */
function neighbours(file) {
  if (!existsSync(file)) return []
  return ts
    .preProcessFile(readFileSync(file, 'utf8'), true, true)
    .importedFiles.map(({ fileName }) => fileOf(fileName, file))
    .filter((imported) => imported !== undefined && floorOf(imported) === floorOf(file))
}

/** @returns {string[] | undefined} the files between `from` and `to`, both included, if one leads to the other */
function wayBetween(from, to, seen = new Set()) {
  if (from === to) return [to]
  seen.add(from)
  for (const next of neighbours(from)) {
    const rest = seen.has(next) ? undefined : wayBetween(next, to, seen)
    if (rest) return [from, ...rest]
  }
  return undefined
}

/** @type {import('eslint').Rule.RuleModule} */
export const importsDownwards = {
  meta: {
    type: 'problem',
    schema: [],
    messages: {
      unknown: '{{ floor }} is no floor of src: give it a place in eslint.floors.js.',
      outside: 'src imports nothing from outside of it.',
      upwards: '{{ from }} must not import from {{ to }}: imports go downwards only.',
      circle: 'A circle of imports: {{ way }}.',
    },
  },
  create(context) {
    const { filename } = context
    const floor = floorOf(filename)

    function look(source) {
      if (typeof source?.value !== 'string') return
      // The package's own name is the top of the house.
      const own = /^ws-session-bridge(\/|$)/.test(source.value)
      const imported = own ? join(src, 'index.ts') : fileOf(source.value, filename)
      if (!imported) return
      if (relative(src, imported).startsWith('..')) return context.report({ node: source, messageId: 'outside' })

      const to = floorOf(imported)
      if (to !== floor) {
        if (floors[floor]?.includes(to) !== false) return
        return context.report({ node: source, messageId: 'upwards', data: { from: floor, to } })
      }
      const back = wayBetween(imported, filename)
      if (!back) return
      const way = [filename, ...back].map((file) => relative(src, file)).join(' → ')
      context.report({ node: source, messageId: 'circle', data: { way } })
    }

    return {
      Program(node) {
        if (!(floor in floors)) context.report({ node, messageId: 'unknown', data: { floor } })
      },
      ImportDeclaration: ({ source }) => look(source),
      ExportAllDeclaration: ({ source }) => look(source),
      ExportNamedDeclaration: ({ source }) => look(source),
      ImportExpression: ({ source }) => look(source),
      TSImportType: ({ source, argument }) => look(source ?? argument?.literal),
    }
  },
}
