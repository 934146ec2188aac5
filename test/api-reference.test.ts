// docs/api says what the TSDoc says, and the TSDoc says what one has to know. `npm run docs` writes the pages.
import { mkdir, mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import {
  Application,
  Comment,
  ReflectionKind,
  ReflectionType,
  type DeclarationReflection,
  type ProjectReflection,
  type SignatureReflection,
  type TypeDocOptions,
} from 'typedoc'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '..')
const config = (await import(join(root, 'typedoc.config.js'))) as { default: Partial<TypeDocOptions> }

/** A public name, a member of one, or one signature of either. */
interface Documented {
  readonly path: string
  readonly name: string
  readonly text: string
  /** The text, and that of every tag. */
  readonly said: string
  /** What is said of the interface that it is a member of. */
  readonly owner: string
  readonly isOptional: boolean
  readonly isAsync: boolean
}

let folder: string
let documented: Documented[]

beforeAll(async () => {
  // Inside of the project, where Prettier finds its settings.
  await mkdir(join(root, '.build'), { recursive: true })
  folder = await mkdtemp(join(root, '.build/api-'))
  const entryPoints = (config.default.entryPoints ?? []).map((file) => join(root, file))
  const app = await Application.bootstrapWithPlugins({
    ...config.default,
    entryPoints,
    tsconfig: join(root, 'tsconfig.build.json'),
    out: folder,
    logLevel: 'Error',
  })
  const project = await app.convert()
  if (project === undefined) throw new Error('typedoc could not read the entry points.')
  await app.generateOutputs(project)
  documented = everythingIn(project)
}, 120_000)

afterAll(async () => {
  await rm(folder, { recursive: true })
})

describe('docs/api', () => {
  it('is what `npm run docs` writes', async () => {
    const written = join(root, 'docs/api')
    const pages = (await readdir(folder)).sort()
    expect(pages).toContain('ws-session-bridge.md')
    expect((await readdir(written)).sort()).toEqual(pages)
    for (const page of pages) {
      expect(await readFile(join(written, page), 'utf8'), page).toBe(await readFile(join(folder, page), 'utf8'))
    }
  })

  it('names no path of a machine and links to no line of the source', async () => {
    for (const page of await readdir(folder)) {
      const text = await readFile(join(folder, page), 'utf8')
      expect(text).not.toContain(root)
      expect(text).not.toMatch(/Defined in|\.ts:\d+/)
    }
  })
})

describe('the TSDoc of what the package exports', () => {
  const pathsWhere = (is: (one: Documented) => boolean) => documented.filter(is).map(({ path }) => path)

  it('is read from every entry point', () => {
    const paths = documented.map(({ path }) => path)
    expect(paths).toEqual(expect.arrayContaining(['createSessionBridge', 'redisLiveStore', 'createTestBridge']))
    expect(paths).toEqual(expect.arrayContaining(['CloseCode.destroyed', 'SessionBridge.attach']))
  })

  it('is there for every name and every member', () => {
    expect(pathsWhere(({ text }) => text === '')).toEqual([])
  })

  it('names the default of every option that may be left out', () => {
    const isOption = ({ path }: Documented) => path.includes('Options.')
    expect(documented.filter((one) => isOption(one) && one.isOptional).length).toBeGreaterThan(15)
    expect(pathsWhere((one) => isOption(one) && one.isOptional && !/\bdefault\b/i.test(one.said))).toEqual([])
  })

  it('names the unit of every duration', () => {
    expect(pathsWhere(({ name, said }) => name.endsWith('Ms') && !/\bin ms\b/.test(said))).toEqual([])
  })

  it('says of every promise what it rejects with, or that it never does', () => {
    expect(pathsWhere(({ isAsync, said, owner }) => isAsync && !/reject|@throws/i.test(said + owner))).toEqual([])
  })

  it('begins as a sentence and ends as one', () => {
    expect(pathsWhere(({ text }) => !/^[`A-Z"'](?:.|\n)*[.:)"]$/.test(text))).toEqual([])
  })
})

function everythingIn(project: ProjectReflection): Documented[] {
  const modules = project.children ?? []
  // A reference repeats what another entry point has.
  const names = modules.flatMap(({ children = [] }) => children).filter((name) => !name.isReference())
  return names.flatMap((name) => {
    const own = entriesOf(name, name.name)
    const owner = own.map(({ text }) => text).join('\n')
    return [...own, ...membersOf(name).flatMap((member) => entriesOf(member, `${name.name}.${member.name}`, owner))]
  })
}

/* Each overload has a text of its own. */
function entriesOf(reflection: DeclarationReflection, path: string, owner = ''): Documented[] {
  const { name, flags, type } = reflection
  const literal = type instanceof ReflectionType ? type.declaration : undefined
  const signatures = reflection.signatures ?? (reflection.comment === undefined ? literal?.signatures : undefined)
  const sources: readonly (DeclarationReflection | SignatureReflection)[] = signatures ?? [reflection]
  return sources.map((source) => ({
    path,
    name,
    owner,
    isOptional: flags.isOptional,
    text: textOf(source.comment),
    said: saidIn(source.comment),
    isAsync: signatures !== undefined && source.type?.toString().startsWith('Promise<') === true,
  }))
}

function membersOf({ children, type }: DeclarationReflection): DeclarationReflection[] {
  const declared = children ?? (type instanceof ReflectionType ? type.declaration.children : undefined) ?? []
  return declared.filter((member) => !member.kindOf(ReflectionKind.Constructor))
}

function textOf(comment: Comment | undefined): string {
  return Comment.combineDisplayParts(comment?.summary).trim()
}

function saidIn(comment: Comment | undefined): string {
  const tags = comment?.blockTags.map(({ tag, content }) => `${tag} ${Comment.combineDisplayParts(content)}`) ?? []
  return [textOf(comment), ...tags].join('\n')
}
