// The package under other runtimes than Node.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { copyFixtures } from './fixtures.js'
import { expectSaid } from './process.js'
import { row } from './rows.js'
import type { Tools } from './tools.js'

/** Runs a user's script, as ESM and as CommonJS, in a folder where the package and its peers are installed. */
export async function tryScript(folder: string, { bun, deno }: Tools): Promise<void> {
  const cwd = join(folder, 'runtimes')
  mkdirSync(cwd)
  writeFileSync(join(cwd, 'package.json'), '{}')
  copyFixtures(cwd, 'bundled.mjs', 'bundled.cjs')
  const runtimes = [
    { name: 'Bun', command: bun, args: [] },
    { name: 'Deno', command: deno, args: ['run', '--allow-all', '--node-modules-dir=manual', '--no-lock'] },
  ]
  for (const { name, command, args } of runtimes) {
    await row('import and require()', name, async () => {
      await expectSaid(command, [...args, 'bundled.cjs'], { cwd })
      return await expectSaid(command, [...args, 'bundled.mjs'], { cwd })
    })
  }
}
