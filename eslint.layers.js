// The layout as a rule: a file imports from its own layer and from layers below it, never upwards and never in a circle.
// Type imports count too.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import ts from 'typescript'

const src = join(import.meta.dirname, 'src')

/** Files at the top of src that form the lowest layer; every other file there is a layer by itself, as every folder is. */
const baseFiles = ['refusals.ts', 'errors.ts', 'session-hash.ts', 'trace.ts']

// Each line is a layer together with all that is below it.
const internal = ['internal', 'base']
const store = ['store', ...internal]
const channel = ['channel', ...store]
const live = ['live', ...channel]
const authenticate = ['authenticate', ...live]
const options = ['options', ...authenticate]
const upgrade = ['upgrade', ...options]
const beneathBridge = ['event-reporter', 'diagnostics', ...upgrade]
const withContract = ['bridge-contract', 'adapter-api', ...beneathBridge]
const bridge = ['session-bridge', ...withContract]

/** Each layer, and what its files may import besides their own layer. */
const layers = {
  base: [],
  internal: ['base'],
  store: internal,
  channel: store,
  live: channel,
  redis: channel,
  postgres: channel,
  authenticate: live,
  options: authenticate,
  upgrade: options,
  // What the stages report becomes events: it knows the words of live and no more.
  diagnostics: live,
  'event-reporter': ['diagnostics', ...live],
  'bridge-contract': beneathBridge,
  'adapter-api': upgrade,
  'session-bridge': withContract,
  // The entry points. None imports another: each asks for optional packages of its own.
  index: bridge,
  cluster: channel,
  'socket.io': bridge,
  testing: bridge,
}

/** @returns {string} the layer's name, or for a file that has none the path itself */
function layerOf(file) {
  const [first, ...inside] = relative(src, file).split(sep)
  if (inside.length > 0) return first
  return baseFiles.includes(first) ? 'base' : first.replace(/\.ts$/, '')
}

/** @returns {string | undefined} the file that a relative specifier names; emitted and source extensions are the same file */
function fileOf(specifier, importer) {
  if (!specifier.startsWith('.')) return undefined
  return resolve(dirname(importer), specifier).replace(/\.js$/, '.ts')
}

/** @returns {string[]} the files that a file imports from its own layer */
function neighbours(file) {
  if (!existsSync(file)) return []
  return ts
    .preProcessFile(readFileSync(file, 'utf8'), true, true)
    .importedFiles.map(({ fileName }) => fileOf(fileName, file))
    .filter((imported) => imported !== undefined && layerOf(imported) === layerOf(file))
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
      unknown: '{{ layer }} is no layer of src: give it a place in eslint.layers.js.',
      outside: 'src imports nothing from outside of it.',
      upwards: '{{ from }} must not import from {{ to }}: imports go downwards only.',
      circle: 'A circle of imports: {{ way }}.',
    },
  },
  create(context) {
    const { filename } = context
    const layer = layerOf(filename)

    function look(source) {
      if (typeof source?.value !== 'string') return
      // The package's own name is its topmost entry point.
      const own = /^ws-session-bridge(\/|$)/.test(source.value)
      const imported = own ? join(src, 'index.ts') : fileOf(source.value, filename)
      if (!imported) return
      if (relative(src, imported).startsWith('..')) return context.report({ node: source, messageId: 'outside' })

      const to = layerOf(imported)
      if (to !== layer) {
        if (layers[layer]?.includes(to) !== false) return
        return context.report({ node: source, messageId: 'upwards', data: { from: layer, to } })
      }
      const back = wayBetween(imported, filename)
      if (!back) return
      const way = [filename, ...back].map((file) => relative(src, file)).join(' → ')
      context.report({ node: source, messageId: 'circle', data: { way } })
    }

    return {
      Program(node) {
        if (!(layer in layers)) context.report({ node, messageId: 'unknown', data: { layer } })
      },
      ImportDeclaration: ({ source }) => look(source),
      ExportAllDeclaration: ({ source }) => look(source),
      ExportNamedDeclaration: ({ source }) => look(source),
      ImportExpression: ({ source }) => look(source),
      TSImportType: ({ source, argument }) => look(source ?? argument?.literal),
    }
  },
}
