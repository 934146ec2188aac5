// each name and each member says what one has to know before using it.
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { readDoors, type Documented, type PublicName } from './support/public-api.js'

const doors = readDoors()
const names = doors.flatMap(({ names: ofDoor }) => ofDoor)
const named = (name: PublicName, member: Documented) => `${name.name}.${member.name}`
const all = names.flatMap((name) => [
  { path: name.name, ...(name as Documented), owner: '' },
  ...name.members.map((member) => ({ path: named(name, member), ...member, owner: name.text })),
])

/** All that is said of it, tags included. */
function said({ text, tags }: Documented): string {
  return [text, ...tags.map((tag) => `@${tag.name} ${tag.text}`)].join('\n')
}

function pathsWhere(is: (documented: (typeof all)[number]) => boolean): string[] {
  return all.filter(is).map(({ path }) => path)
}

describe('the TSDoc of what the package exports', () => {
  it('is read from every door', () => {
    expect(doors.map(({ specifier }) => specifier)).toEqual(expect.arrayContaining(['ws-session-bridge']))
    expect(names.map(({ name }) => name)).toEqual(expect.arrayContaining(['createSessionBridge', 'redisLiveStore']))
    expect(all.map(({ path }) => path)).toEqual(expect.arrayContaining(['CloseCode.destroyed', 'SessionBridge.attach']))
  })

  it('is there for every name and every member', () => {
    expect(pathsWhere(({ text }) => text.trim() === '')).toEqual([])
  })

  it('names the default of everything that may be left out of options', () => {
    const options = names.filter(({ name }) => name.endsWith('Options'))
    expect(options.length).toBeGreaterThan(3)
    const optional = options.flatMap((name) =>
      name.members.filter(({ declarations }) => declarations.some(isOptional)).map((member) => ({ name, member })),
    )
    expect(
      optional
        .filter(({ member }) => !/\bdefault\b/i.test(said(member)))
        .map(({ name, member }) => named(name, member)),
    ).toEqual([])
  })

  it('names the unit of every duration', () => {
    expect(pathsWhere((one) => one.name.endsWith('Ms') && !/\bin ms\b/.test(said(one)))).toEqual([])
  })

  it('says of every promise what it rejects with, or that it never does', () => {
    expect(
      pathsWhere((one) => one.declarations.some(isAsync) && !/reject|@throws/i.test(said(one) + one.owner)),
    ).toEqual([])
  })

  it('begins as a sentence and ends as one', () => {
    expect(pathsWhere(({ text }) => !/^[`A-Z"'](?:.|\n)*[.:)"]$/.test(text.trim()))).toEqual([])
  })
})

function isOptional(declaration: ts.Declaration): boolean {
  return ts.isPropertySignature(declaration) && declaration.questionToken !== undefined
}

function isAsync(declaration: ts.Declaration): boolean {
  if (!ts.isMethodSignature(declaration) && !ts.isFunctionDeclaration(declaration)) return false
  return declaration.type?.getText().startsWith('Promise<') === true
}
