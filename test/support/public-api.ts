// every public name with its declaration, its members and their TSDoc.
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import ts from 'typescript'

const root = resolve(import.meta.dirname, '../..')

/** A public name, or a member of one. */
export interface Documented {
  readonly name: string
  /** All declarations; several for an overloaded function. */
  readonly declarations: readonly ts.Declaration[]
  /** The TSDoc without its tags. */
  readonly text: string
  readonly tags: readonly { readonly name: string; readonly text: string }[]
}

export interface PublicName extends Documented {
  readonly members: readonly Documented[]
}

export interface Door {
  /** As one imports it. */
  readonly specifier: string
  /** What its file says at its head. */
  readonly about: string
  readonly names: readonly PublicName[]
}

/** Reads the doors of the package, in the order of package.json. */
export function readDoors(): Door[] {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    exports: Record<string, unknown>
  }
  const paths = Object.keys(exports).filter((path) => path !== './package.json')
  const fileOf = (path: string) => join(root, 'src', path === '.' ? 'index.ts' : `${path.slice(2)}.ts`)
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path)) as {
    config: object
  }
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root)
  const program = ts.createProgram(paths.map(fileOf), options)
  return paths.map((path) => ({
    specifier: path.replace(/^\./, 'ws-session-bridge'),
    ...readDoor(program, fileOf(path)),
  }))
}

function readDoor(program: ts.Program, file: string): Pick<Door, 'about' | 'names'> {
  const checker = program.getTypeChecker()
  const source = program.getSourceFile(file)
  const symbol = source && checker.getSymbolAtLocation(source)
  if (symbol === undefined) throw new Error(`${file} exports nothing`)
  const about = /^\/\*\n \* (.*)/.exec(source?.text ?? '')?.[1] ?? ''
  return { about, names: checker.getExportsOfModule(symbol).map((name) => readName(checker, name)) }
}

function readName(checker: ts.TypeChecker, symbol: ts.Symbol): PublicName {
  const own = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
  const documented = read(checker, own)
  const members = documented.declarations.flatMap(membersOf).map((member) => {
    const memberSymbol = checker.getSymbolAtLocation(member.name)
    if (memberSymbol === undefined) throw new Error(`${own.name}.${member.name.getText()} has no symbol`)
    return readMember(checker, memberSymbol, member)
  })
  return { ...documented, members }
}

/* Each overload of a method is a member of its own, with a text of its own. */
function readMember(checker: ts.TypeChecker, symbol: ts.Symbol, member: Member): Documented {
  const signature = ts.isMethodSignature(member) ? checker.getSignatureFromDeclaration(member) : undefined
  return { ...textsOf(checker, signature ?? symbol), name: symbol.name, declarations: [member] }
}

function read(checker: ts.TypeChecker, symbol: ts.Symbol): Documented {
  return { ...textsOf(checker, symbol), name: symbol.name, declarations: symbol.declarations ?? [] }
}

function textsOf(checker: ts.TypeChecker, documented: ts.Symbol | ts.Signature): Pick<Documented, 'text' | 'tags'> {
  return {
    text: ts.displayPartsToString(documented.getDocumentationComment(checker)),
    tags: documented.getJsDocTags(checker).map(({ name, text }) => ({ name, text: ts.displayPartsToString(text) })),
  }
}

type Member = ts.Declaration & { readonly name: ts.Node }

/* What a user may name of it, and nothing that it has inherited. */
function membersOf(declaration: ts.Declaration): Member[] {
  const literal = ts.isVariableDeclaration(declaration) ? objectOf(declaration.initializer) : undefined
  const members: Iterable<ts.Declaration> =
    ts.isInterfaceDeclaration(declaration) || ts.isClassDeclaration(declaration)
      ? declaration.members
      : ts.isTypeAliasDeclaration(declaration) && ts.isTypeLiteralNode(declaration.type)
        ? declaration.type.members
        : (literal?.properties ?? [])
  return [...members].filter(isNamed)
}

function isNamed(member: ts.Declaration): member is Member {
  const { name } = member as { name?: ts.Node }
  return name !== undefined && !ts.isPrivateIdentifier(name) && ts.getJSDocTags(member).every(isPublic)
}

/* What is internal is not in the package's types either (tsconfig.build.json, `stripInternal`). */
function isPublic({ tagName }: ts.JSDocTag): boolean {
  return tagName.text !== 'internal'
}

/* `{ … } as const satisfies …` is `{ … }`. */
function objectOf(expression: ts.Expression | undefined): ts.ObjectLiteralExpression | undefined {
  if (expression === undefined) return undefined
  if (ts.isObjectLiteralExpression(expression)) return expression
  return ts.isSatisfiesExpression(expression) || ts.isAsExpression(expression)
    ? objectOf(expression.expression)
    : undefined
}
