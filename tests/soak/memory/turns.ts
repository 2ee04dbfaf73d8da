/** Conversations of two tenants, several of which grow at once until they are long. */
import type { Asked, MemoryStage, Plan, Tenant } from './stage.ts';

const CHATS = 3;
const MAX_TURNS = 12;

export type Turns = ReturnType<typeof createTurns>;

export function createTurns({ ask }: MemoryStage) {
  const chats: Readonly<Record<Tenant, { readonly id: string; turns: number }[]>> = { alice: [], bob: [] };
  const findOpen = (tenant: Tenant) => chats[tenant].filter(({ turns }) => turns < MAX_TURNS).slice(0, CHATS);

  async function begin(plan: Plan): Promise<Asked> {
    const first = await ask(plan);
    const { saved, chat_id: id } = first.asking.told;
    if (saved === true) chats[plan.tenant].push({ id: String(id), turns: 1 });
    return first;
  }

  return {
    /** Goes on with one of the tenant's, or begins one while there are few. `chance` says which. */
    async take(plan: Plan, chance: number): Promise<Asked> {
      const open = findOpen(plan.tenant);
      const chat = open[Math.floor(chance * open.length)];
      if (!chat || open.length < CHATS) return await begin(plan);
      chat.turns++;
      return await ask({ ...plan, words: { ...plan.words, chat_id: chat.id } });
    },

    latestOf: (tenant: Tenant): string | undefined => chats[tenant].at(-1)?.id,
  };
}
