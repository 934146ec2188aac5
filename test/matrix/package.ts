// tried as its users would: installed in an empty folder, imported, required, compiled against.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { compilerIn, compilers, versionOf, type Compiler } from './compilers.js'
import type { Node } from './nodes.js'
import type { Peers } from './peers.js'
import { install, run, runNode } from './process.js'

/** Packs the project. */
export async function pack(root: string, folder: string): Promise<string> {
  const said = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], { cwd: root })
  const [{ filename }] = JSON.parse(said) as [{ filename: string }]
  return join(folder, basename(filename))
}

/** An empty folder, the package with these peers and the README's packages in it, and the README's code, its start compiled. */
export async function newUser(root: string, folder: string, tarball: string, peers: Peers): Promise<string> {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const asked = [...readme.matchAll(/^npm install (?:--save-dev )?([^#\n]*)/gm)].flatMap(([, names = '']) =>
    names.trim().split(' '),
  )
  const versions = Object.entries(peers.versions).map(([name, version]) => `${name}@${version}`)
  const others = asked.filter((name) => name !== 'ws-session-bridge' && !(name in peers.versions))
  mkdirSync(folder)
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }')
  await install(folder, [
    tarball,
    ...versions,
    ...others,
    ...compilers.map((one) => `typescript-${one}@npm:typescript@${one}`),
  ])

  const code = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, block = '']) => block)
  writeFileSync(join(folder, 'start.ts'), code[0] ?? '')
  writeFileSync(join(folder, 'readme.ts'), code.join('\n'))
  writeFileSync(
    join(folder, 'entries.ts'),
    specifiersOf(folder)
      .map((specifier, n) => `export * as entry${n} from '${specifier}'\n`)
      .join(''),
  )
  const options = ['--strict', '--module', 'nodenext', '--target', 'es2022', '--types', 'node', '--outDir', 'out']
  await run(process.execPath, [compilerIn(folder, '6'), ...options, 'start.ts'], { cwd: folder })
  return folder
}

/** What `exports` of package.json lets in. */
export function specifiersOf(folder: string): string[] {
  const manifest = readFileSync(join(folder, 'node_modules/ws-session-bridge/package.json'), 'utf8')
  const { exports } = JSON.parse(manifest) as { exports: Record<string, unknown> }
  return Object.keys(exports)
    .filter((path) => path !== './package.json')
    .map((path) => path.replace(/^\./, 'ws-session-bridge'))
}

/** Every entry point opens by `import` and by `require()`, and is the same. */
export async function tryEntries(node: Node, folder: string): Promise<string> {
  const specifiers = specifiersOf(folder)
  for (const specifier of specifiers) {
    const script = `
      import { createRequire } from 'node:module'
      const imported = await import('${specifier}')
      const required = createRequire(import.meta.url)('${specifier}')
      const names = Object.keys(imported)
      if (names.length === 0 || names.some((name) => imported[name] !== required[name])) throw new Error(names)`
    await runNode(node.path, ['--input-type=module', '--eval', script], { cwd: folder })
  }
  return specifiers.map((specifier) => specifier.replace('ws-session-bridge', '.')).join(' ')
}

/** The README's code and every entry point compile, the package's own types included. */
export async function tryTypes(
  folder: string,
  compiler: Compiler,
  exactOptionalPropertyTypes: boolean,
): Promise<string> {
  const config = join(folder, `tsconfig-${compiler}-${exactOptionalPropertyTypes}.json`)
  const compilerOptions = {
    strict: true,
    exactOptionalPropertyTypes,
    skipLibCheck: false,
    module: 'nodenext',
    target: 'es2022',
    types: ['node'],
    noEmit: true,
  }
  writeFileSync(config, JSON.stringify({ compilerOptions, files: ['readme.ts', 'entries.ts'] }))
  await run(process.execPath, [compilerIn(folder, compiler), '-p', config], { cwd: folder })
  return versionOf(folder, compiler)
}

/** The README's first lines, started: users who have logged in get in, and no other client. */
export async function tryStart(node: Node, folder: string): Promise<string> {
  const start = readFileSync(join(folder, 'out/start.js'), 'utf8').replace('server.listen(3000)', 'server.listen(0)')
  const client = `
    import { once } from 'node:events'
    import { WebSocket } from 'ws'
    await once(server, 'listening')
    const { port } = server.address()
    const login = await fetch(\`http://localhost:\${port}/login/Ada\`, { method: 'POST' })
    const cookie = login.headers.getSetCookie()[0].split(';')[0]
    const ws = new WebSocket(\`ws://localhost:\${port}/chat\`, { headers: { cookie } })
    await once(ws, 'open')
    ws.send('Who am I?')
    const [answer] = await once(ws, 'message')
    const stranger = new WebSocket(\`ws://localhost:\${port}/chat\`)
    const [, response] = await once(stranger, 'unexpected-response')
    console.log(\`\${answer}, and a stranger gets \${response.statusCode}\`)
    process.exit()`
  writeFileSync(join(folder, 'out/tried.js'), `${start}\n${client}`)
  const said = (await runNode(node.path, ['out/tried.js'], { cwd: folder, timeoutMs: 30_000 })).trim()
  if (said !== 'You are Ada, and a stranger gets 401') throw new Error(`The start of the README says: ${said}`)
  return said
}
