/** JSON that the gateway hands on without reading it: a tool's arguments, a schema. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
