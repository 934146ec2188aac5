// What `npm run docs` writes to docs/api: one page for each entry point of the package.
import { readFileSync } from 'node:fs'

const { exports } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))
const paths = Object.keys(exports).filter((path) => path !== './package.json')

/** @type {Partial<import('typedoc').TypeDocOptions & import('typedoc-plugin-markdown').PluginOptions>} */
const config = {
  entryPoints: paths.map((path) => (path === '.' ? 'src/index.ts' : `src/${path.slice(2)}.ts`)),
  tsconfig: 'tsconfig.build.json',
  plugin: ['typedoc-plugin-markdown'],
  out: 'docs/api',
  name: 'API',
  readme: 'none',
  // What EventEmitter and Error have is told by Node's documentation.
  excludeExternals: true,
  excludeInternal: true,
  // A link to a line is wrong after the next commit.
  disableSources: true,
  // What one calls first.
  groupOrder: ['Functions', 'Interfaces', 'Type Aliases', 'Variables', 'Classes'],
  kindSortOrder: ['Function', 'Interface', 'TypeAlias', 'Variable', 'Class'],
  sort: ['kind', 'source-order'],
  sortEntryPoints: false,
  outputFileStrategy: 'modules',
  flattenOutputFiles: true,
  expandObjects: false,
  hideBreadcrumbs: true,
  hideGenerator: true,
  hideGroupHeadings: true,
  hidePageHeader: true,
  useCodeBlocks: true,
  formatWithPrettier: true,
  skipErrorChecking: true,
  // test/api-reference.test.ts checks what is documented, members and their defaults included.
  validation: { invalidLink: true, notDocumented: false, notExported: false },
}

export default config
