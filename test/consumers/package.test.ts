// The package as `npm pack` makes it: what is in it, and that every entry point opens by import and by require().
import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { atEnd } from '../support/at-end.js'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const sources = [
  'package.json',
  'README.md',
  'LICENSE',
  'CHANGELOG.md',
  'SECURITY.md',
  'CONTRIBUTING.md',
  'docs',
  'scripts',
  'src',
  'tsconfig.json',
  'tsconfig.build.json',
  'tsconfig.build-cjs.json',
]

interface Manifest {
  readonly main: string
  readonly types: string
  readonly exports: Readonly<Record<string, unknown>>
  readonly typesVersions: Readonly<Record<string, Readonly<Record<string, readonly [string]>>>>
}

interface Packed {
  readonly files: readonly string[]
  /** A folder with the package installed in it, and nothing else but what it depends on. */
  readonly folder: string
  readonly manifest: Manifest
  /** As users write them. */
  readonly specifiers: readonly string[]
}

/** Packs a copy of the project, so that no other test's `dist` is written to. */
async function pack(): Promise<Packed> {
  const project = await mkdtemp(join(tmpdir(), 'ws-session-bridge-packed-'))
  atEnd(() => rm(project, { recursive: true }))
  await Promise.all(sources.map((name) => cp(join(root, name), join(project, name), { recursive: true })))
  await symlink(join(root, 'node_modules'), join(project, 'node_modules'))
  // npm builds it first: `prepack`.
  const { stdout } = await run('npm', ['pack', '--json', '--foreground-scripts=false'], { cwd: project })
  const [{ filename, files }] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }]
  await run('tar', ['xzf', filename], { cwd: project })
  await symlink(join(root, 'node_modules'), join(project, 'package/node_modules'))
  const manifest = JSON.parse(await readFile(join(project, 'package.json'), 'utf8')) as Manifest
  const specifiers = entriesOf(manifest).map((path) => path.replace(/^\./, 'ws-session-bridge'))
  return { files: files.map(({ path }) => path), folder: join(project, 'package'), manifest, specifiers }
}

function entriesOf({ exports }: Manifest): string[] {
  return Object.keys(exports).filter((path) => path !== './package.json')
}

describe('the packed package', () => {
  let packed: Packed
  beforeAll(async () => {
    packed = await pack()
  }, 180_000)

  it('holds the built code, its types and source maps, the documents, and nothing else', () => {
    const built = packed.files.filter((file) => /^dist\/(?:cjs|esm)\/.*\.(?:js|js\.map|d\.ts)$/.test(file))
    const documents = packed.files.filter((file) => file.startsWith('docs/'))
    const others = packed.files.filter((file) => !built.includes(file) && !documents.includes(file))
    const wrappers = entriesOf(packed.manifest).map((path) => `dist/${path === '.' ? 'index' : path.slice(2)}.mjs`)
    const pages = ['CHANGELOG.md', 'CONTRIBUTING.md', 'LICENSE', 'README.md', 'SECURITY.md']
    expect(others.sort()).toEqual([...pages, 'package.json', 'dist/cjs/package.json', ...wrappers].sort())
    const modules = built.filter((file) => file.endsWith('.js'))
    expect(modules).toEqual(expect.arrayContaining(['dist/cjs/index.js', 'dist/esm/index.js']))
    const expected = modules.flatMap((file) => [file, `${file}.map`, file.replace(/js$/, 'd.ts')])
    expect(built.sort()).toEqual(expected.sort())
  })

  it('holds every file that one of its documents links to', async () => {
    const pages = packed.files.filter((file) => file.endsWith('.md'))
    const links: string[] = []
    const broken: string[] = []
    for (const page of pages) {
      const text = await readFile(join(packed.folder, page), 'utf8')
      for (const [, link = ''] of text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
        links.push(link)
        if (!packed.files.includes(join(dirname(page), link))) broken.push(`${page}: ${link}`)
      }
    }
    expect(links.length).toBeGreaterThan(100)
    expect(broken).toEqual([])
  })

  it('has source maps that need no file beside them', async () => {
    for (const file of packed.files.filter((name) => name.endsWith('.map'))) {
      const text = await readFile(join(packed.folder, file), 'utf8')
      const map = JSON.parse(text) as { sources: [string]; sourcesContent: [string] }
      const source = join(root, file, '..', map.sources[0])
      expect(map.sourcesContent).toEqual([await readFile(source, 'utf8')])
    }
  })

  it('names no file in package.json that is not there', () => {
    const { main, types, exports, typesVersions } = packed.manifest
    const named = JSON.stringify([main, types, exports, typesVersions]).match(/\.\/dist\/[^"]+(?=")/g) ?? []
    expect(named.length).toBeGreaterThan(2)
    expect(named.filter((file) => !packed.files.includes(file.slice('./'.length)))).toEqual([])
  })

  it('opens every entry point in the same way, for each module system and for compilers that do not know `exports`', () => {
    const { manifest } = packed
    const subpaths = entriesOf(manifest).map((path) => (path === '.' ? 'index' : path.slice('./'.length)))
    for (const [n, name] of subpaths.entries()) {
      expect(manifest.exports[entriesOf(manifest)[n]!]).toEqual({
        module: `./dist/esm/${name}.js`,
        import: { types: `./dist/esm/${name}.d.ts`, default: `./dist/${name}.mjs` },
        require: { types: `./dist/cjs/${name}.d.ts`, default: `./dist/cjs/${name}.js` },
      })
    }
    const beyondIndex = subpaths.filter((name) => name !== 'index')
    const typesOf = beyondIndex.map((name) => [name, [`./dist/cjs/${name}.d.ts`]] as const)
    expect(manifest.typesVersions).toEqual({ '*': Object.fromEntries(typesOf) })
  })

  it('opens every entry point by import and by require(), to the same names and the same things', async () => {
    // By its own name, from inside: what Node resolves for a user, too.
    const script = `
      const { pathToFileURL } = require('node:url')
      const file = ${JSON.stringify(join(packed.folder, 'script.mjs'))}
      const own = require('node:module').createRequire(file)
      require('node:fs').writeFileSync(file, 'export const open = (specifier) => import(specifier)')
      async function open(specifier) {
        const required = own(specifier)
        const { open } = await import(pathToFileURL(file))
        const imported = await open(specifier)
        const names = Object.keys(required)
        const isSame = Object.keys(imported).sort().join() === names.sort().join()
        return [specifier, names.length > 0 && isSame && names.every((name) => imported[name] === required[name])]
      }
      Promise.all(${JSON.stringify(packed.specifiers)}.map(open)).then((opened) => console.log(JSON.stringify(opened)))`
    const { stdout } = await run(process.execPath, ['--eval', script], { cwd: packed.folder })
    expect(packed.specifiers).toEqual(expect.arrayContaining(['ws-session-bridge', 'ws-session-bridge/redis']))
    expect(JSON.parse(stdout)).toEqual(packed.specifiers.map((specifier) => [specifier, true]))
  })

  it('names each export in its wrapper, so that Node and bundlers know it without running the code', async () => {
    for (const [n, path] of entriesOf(packed.manifest).entries()) {
      const name = path === '.' ? 'index' : path.slice('./'.length)
      const wrapper = await readFile(join(packed.folder, `dist/${name}.mjs`), 'utf8')
      const { stdout } = await run(
        process.execPath,
        ['--print', `Object.keys(require('${packed.specifiers[n]!}')).sort().join(', ')`],
        { cwd: packed.folder },
      )
      expect(wrapper).toBe(`export { ${stdout.trim()} } from './cjs/${name}.js'\n`)
    }
  })
})

describe('npm publish', () => {
  it('stops with a clear word until package.json says where the repository is', async () => {
    const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { repository?: unknown }
    const stopped = run('npm', ['run', 'prepublishOnly'], { cwd: root })
    if (manifest.repository !== undefined) await stopped
    else await expect(stopped).rejects.toMatchObject({ stderr: expect.stringContaining('"repository"') as string })
  })
})
