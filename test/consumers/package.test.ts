// what is in it, and nothing else; every door opens by import and by require().
import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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
  'src',
  'tsconfig.json',
  'tsconfig.build.json',
]

interface Packed {
  readonly files: readonly string[]
  /** A folder with the package installed in it, and nothing else but what it depends on. */
  readonly folder: string
  readonly doors: readonly string[]
}

/** Packs a copy of the project, so that nobody else's `dist` is written to. */
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
  const { exports } = JSON.parse(await readFile(join(project, 'package.json'), 'utf8')) as { exports: object }
  const code = Object.keys(exports).filter((path) => path !== './package.json')
  const doors = code.map((path) => path.replace(/^\./, 'ws-session-bridge'))
  return { files: files.map(({ path }) => path), folder: join(project, 'package'), doors }
}

describe('the packed package', () => {
  let packed: Packed
  beforeAll(async () => {
    packed = await pack()
  })

  it('holds the built code, its types and source maps, and what every package has; nothing else', () => {
    const built = packed.files.filter((file) => /^dist\/.*\.(js|js\.map|d\.ts)$/.test(file))
    const others = packed.files.filter((file) => !built.includes(file))
    expect(others.sort()).toEqual(['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json'])
    const modules = built.filter((file) => file.endsWith('.js'))
    expect(modules).toContain('dist/index.js')
    const expected = modules.flatMap((file) => [file, `${file}.map`, file.replace(/js$/, 'd.ts')])
    expect(built.sort()).toEqual(expected.sort())
  })

  it('has source maps that need no file beside them', async () => {
    for (const file of packed.files.filter((name) => name.endsWith('.map'))) {
      const text = await readFile(join(packed.folder, file), 'utf8')
      const map = JSON.parse(text) as { sources: [string]; sourcesContent: [string] }
      const source = join(root, file, '..', map.sources[0])
      expect(map.sourcesContent).toEqual([await readFile(source, 'utf8')])
    }
  })

  it('names no file in `exports` that is not there', async () => {
    const { exports } = JSON.parse(await readFile(join(packed.folder, 'package.json'), 'utf8')) as { exports: object }
    const named = JSON.stringify(exports).match(/\.\/[^"]+\.(?:js|d\.ts)(?=")/g) ?? []
    expect(named.length).toBeGreaterThan(2)
    expect(named.filter((file) => !packed.files.includes(file.slice(2)))).toEqual([])
  })

  it('opens every door by import and by require(), to the same things', async () => {
    // By its own name, from inside: what Node resolves for a user, too.
    const script = `
      const own = require('node:module').createRequire(${JSON.stringify(join(packed.folder, 'package.json'))})
      const { pathToFileURL } = require('node:url')
      async function open(door) {
        const required = own(door)
        const imported = await import(pathToFileURL(own.resolve(door)))
        const names = Object.keys(imported)
        return [door, names.length > 0 && names.every((name) => imported[name] === required[name])]
      }
      Promise.all(${JSON.stringify(packed.doors)}.map(open)).then((opened) => console.log(JSON.stringify(opened)))`
    const { stdout } = await run(process.execPath, ['--eval', script], { cwd: packed.folder })
    expect(packed.doors).toEqual(expect.arrayContaining(['ws-session-bridge', 'ws-session-bridge/redis']))
    expect(JSON.parse(stdout)).toEqual(packed.doors.map((door) => [door, true]))
  })
})
