/** Help text of `--os`, the same for every command that has it. */
export const OS_FLAG = 'System of the image, if it is not recognised: raspios-bookworm …'
