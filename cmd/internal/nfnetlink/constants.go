package nfnetlink

// Constants of linux/netfilter/nf_tables.h that golang.org/x/sys/unix lacks.
const (
	TableDormant           = 1    // NFT_TABLE_F_DORMANT
	TableOwned             = 2    // NFT_TABLE_F_OWNER
	TableHandle            = 4    // NFTA_TABLE_HANDLE
	SetHandle              = 16   // NFTA_SET_HANDLE
	SetConcatenated        = 0x80 // NFT_SET_CONCAT, a flag
	SetDescriptionFields   = 2    // NFTA_SET_DESC_CONCAT
	SetFieldSize           = 1    // NFTA_SET_FIELD_LEN
	SetElementKeyEnd       = 10   // NFTA_SET_ELEM_KEY_END, the end of a range
	SetElementExpressions  = 11   // NFTA_SET_ELEM_EXPRESSIONS
	ObjectHandle           = 6    // NFTA_OBJ_HANDLE
	FlowtableTable         = 1    // NFTA_FLOWTABLE_TABLE
	FlowtableName          = 2    // NFTA_FLOWTABLE_NAME
	FlowtableHandle        = 5    // NFTA_FLOWTABLE_HANDLE
	HookDevices            = 4    // NFTA_HOOK_DEVS, a list of names
	BitwiseOperation       = 6    // NFTA_BITWISE_OP
	FibDestinationRegister = 1    // NFTA_FIB_DREG
	FibResult              = 2    // NFTA_FIB_RESULT
	FibFlags               = 3    // NFTA_FIB_FLAGS
	MetaInKind             = 26   // NFT_META_IIFKIND
	MetaOutKind            = 27   // NFT_META_OIFKIND
	ConnectionTo4          = 20   // NFT_CT_DST_IP
	ConnectionTo6          = 22   // NFT_CT_DST_IP6
	NetdevEgress           = 1    // NF_NETDEV_EGRESS
	Drop                   = 0    // NF_DROP, a verdict

	deviceName = 1 // NFTA_DEVICE_NAME
)
