# bash completion for minosctl
_minosctl() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=
	COMPREPLY=()
	case $prev in
	--device|--image|--svg|--dir) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	--env) return ;;
	esac
	if [ "$COMP_CWORD" = 1 ]; then
		words='status mark-good mark-bad set-primary boot-update factory-reset report first-boot-complete ssh-keys first-boot grow-data tryboot profile base rauc-backend completion man version help'
	else case ${COMP_WORDS[1]} in
	status) words='--device --image --env --json' ;;
	mark-good) words='A B --device --image --env --force' ;;
	mark-bad) words='A B --device --image --env' ;;
	set-primary) words='A B --device --image --env' ;;
	boot-update) words='--device --image --env --force --commit --dir' ;;
	factory-reset) words='--yes --dry-run' ;;
	report) words='--device --image --env --svg' ;;
	first-boot-complete) words='' ;;
	ssh-keys) words='' ;;
	first-boot) words='--card --data' ;;
	grow-data) words='' ;;
	tryboot) words='status try commit abort --json --force --reboot' ;;
	profile) words='list show create clone reset delete snapshot snapshots rollback --json --yes --top --name --base --empty --keep' ;;
	base) words='list receive set-current check gc --json --dry-run --top --from' ;;
	rauc-backend) words='get-primary get-current set-primary get-state set-state --device --image --env' ;;
	completion) words='bash' ;;
	man) words='' ;;
	version) words='' ;;
	help) words='status mark-good mark-bad set-primary boot-update factory-reset report first-boot-complete ssh-keys first-boot grow-data tryboot profile base rauc-backend completion man version help' ;;
	esac; fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	if [ "$COMP_CWORD" != 1 ] && [ "${COMP_WORDS[1]}" = boot-update ]; then
		compopt -o filenames 2>/dev/null
		mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "$cur")
	fi
}
complete -F _minosctl minosctl
