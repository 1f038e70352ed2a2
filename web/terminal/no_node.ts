/** In the place of Node's modules, which libraries name for programs that are no pages. */

/** What they derive classes from when they are loaded, and never make. */
export class Duplex {}
export class Readable {}
export class Writable {}
