"""Headers and rows as the publishers write them, for small files in the published formats."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

NSL_NORMAL = (
    "0,tcp,ftp_data,SF,491,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,2,2,0.00,0.00,0.00,0.00,1.00,0.00,0.00,150,25,0.17,"
    "0.03,0.17,0.00,0.00,0.00,0.05,0.00"
)
NSL_NEPTUNE = (
    "0,tcp,private,S0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,123,6,1.00,1.00,0.00,0.00,0.05,0.07,0.00,255,26,0.10,"
    "0.05,0.00,0.00,1.00,1.00,0.00,0.00"
)

CIC2017_FLOW_COLUMNS = (
    " Flow Duration, Total Fwd Packets, Total Backward Packets,Total Length of Fwd Packets,"
    " Total Length of Bwd Packets, Fwd Packet Length Max, Fwd Packet Length Min, Fwd Packet Length Mean,"
    " Fwd Packet Length Std,Bwd Packet Length Max, Bwd Packet Length Min, Bwd Packet Length Mean,"
    " Bwd Packet Length Std,Flow Bytes/s, Flow Packets/s, Flow IAT Mean, Flow IAT Std, Flow IAT Max,"
    " Flow IAT Min,Fwd IAT Total, Fwd IAT Mean, Fwd IAT Std, Fwd IAT Max, Fwd IAT Min,Bwd IAT Total,"
    " Bwd IAT Mean, Bwd IAT Std, Bwd IAT Max, Bwd IAT Min,Fwd PSH Flags, Bwd PSH Flags, Fwd URG Flags,"
    " Bwd URG Flags, Fwd Header Length, Bwd Header Length,Fwd Packets/s, Bwd Packets/s, Min Packet Length,"
    " Max Packet Length, Packet Length Mean, Packet Length Std, Packet Length Variance,FIN Flag Count,"
    " SYN Flag Count, RST Flag Count, PSH Flag Count, ACK Flag Count, URG Flag Count, CWE Flag Count,"
    " ECE Flag Count, Down/Up Ratio, Average Packet Size, Avg Fwd Segment Size, Avg Bwd Segment Size,"
    " Fwd Header Length,Fwd Avg Bytes/Bulk, Fwd Avg Packets/Bulk, Fwd Avg Bulk Rate, Bwd Avg Bytes/Bulk,"
    " Bwd Avg Packets/Bulk,Bwd Avg Bulk Rate,Subflow Fwd Packets, Subflow Fwd Bytes, Subflow Bwd Packets,"
    " Subflow Bwd Bytes,Init_Win_bytes_forward, Init_Win_bytes_backward, act_data_pkt_fwd,"
    " min_seg_size_forward,Active Mean, Active Std, Active Max, Active Min,Idle Mean, Idle Std, Idle Max,"
    " Idle Min"
)
CIC2017_MACHINE_LEARNING = f" Destination Port,{CIC2017_FLOW_COLUMNS}, Label"
CIC2017_LABELLED = (
    "Flow ID, Source IP, Source Port, Destination IP, Destination Port, Protocol, Timestamp,"
    f"{CIC2017_FLOW_COLUMNS}, Label"
)
CIC2017_FILES = (
    "Monday-WorkingHours.pcap_ISCX.csv",
    "Tuesday-WorkingHours.pcap_ISCX.csv",
    "Wednesday-workingHours.pcap_ISCX.csv",
    "Thursday-WorkingHours-Morning-WebAttacks.pcap_ISCX.csv",
    "Thursday-WorkingHours-Afternoon-Infilteration.pcap_ISCX.csv",
    "Friday-WorkingHours-Morning.pcap_ISCX.csv",
    "Friday-WorkingHours-Afternoon-PortScan.pcap_ISCX.csv",
    "Friday-WorkingHours-Afternoon-DDos.pcap_ISCX.csv",
)

CSE2018_FLOW_COLUMNS = (
    "Flow Duration,Tot Fwd Pkts,Tot Bwd Pkts,TotLen Fwd Pkts,TotLen Bwd Pkts,Fwd Pkt Len Max,Fwd Pkt Len Min,"
    "Fwd Pkt Len Mean,Fwd Pkt Len Std,Bwd Pkt Len Max,Bwd Pkt Len Min,Bwd Pkt Len Mean,Bwd Pkt Len Std,"
    "Flow Byts/s,Flow Pkts/s,Flow IAT Mean,Flow IAT Std,Flow IAT Max,Flow IAT Min,Fwd IAT Tot,Fwd IAT Mean,"
    "Fwd IAT Std,Fwd IAT Max,Fwd IAT Min,Bwd IAT Tot,Bwd IAT Mean,Bwd IAT Std,Bwd IAT Max,Bwd IAT Min,"
    "Fwd PSH Flags,Bwd PSH Flags,Fwd URG Flags,Bwd URG Flags,Fwd Header Len,Bwd Header Len,Fwd Pkts/s,"
    "Bwd Pkts/s,Pkt Len Min,Pkt Len Max,Pkt Len Mean,Pkt Len Std,Pkt Len Var,FIN Flag Cnt,SYN Flag Cnt,"
    "RST Flag Cnt,PSH Flag Cnt,ACK Flag Cnt,URG Flag Cnt,CWE Flag Count,ECE Flag Cnt,Down/Up Ratio,"
    "Pkt Size Avg,Fwd Seg Size Avg,Bwd Seg Size Avg,Fwd Byts/b Avg,Fwd Pkts/b Avg,Fwd Blk Rate Avg,"
    "Bwd Byts/b Avg,Bwd Pkts/b Avg,Bwd Blk Rate Avg,Subflow Fwd Pkts,Subflow Fwd Byts,Subflow Bwd Pkts,"
    "Subflow Bwd Byts,Init Fwd Win Byts,Init Bwd Win Byts,Fwd Act Data Pkts,Fwd Seg Size Min,Active Mean,"
    "Active Std,Active Max,Active Min,Idle Mean,Idle Std,Idle Max,Idle Min"
)
CSE2018 = f"Dst Port,Protocol,Timestamp,{CSE2018_FLOW_COLUMNS},Label"
CSE2018_TUESDAY = f"Flow ID,Src IP,Src Port,Dst IP,{CSE2018}"
CSE2018_DAYS = {
    "Wednesday-14-02-2018": ("Benign", "FTP-BruteForce", "SSH-Bruteforce"),
    "Thursday-15-02-2018": ("Benign", "DoS attacks-GoldenEye", "DoS attacks-Slowloris"),
    "Friday-16-02-2018": ("Benign", "DoS attacks-SlowHTTPTest", "DoS attacks-Hulk"),
    "Thuesday-20-02-2018": ("Benign", "DDoS attacks-LOIC-HTTP"),
    "Wednesday-21-02-2018": ("Benign", "DDOS attack-LOIC-UDP", "DDOS attack-HOIC"),
    "Thursday-22-02-2018": ("Benign", "Brute Force -Web", "Brute Force -XSS", "SQL Injection"),
    "Friday-23-02-2018": ("Benign", "Brute Force -Web", "Brute Force -XSS", "SQL Injection"),
    "Wednesday-28-02-2018": ("Benign", "Infilteration"),
    "Thursday-01-03-2018": ("Benign", "Infilteration"),
    "Friday-02-03-2018": ("Benign", "Bot"),
}

IOT2023_PARTS = (
    "flow_duration,Header_Length,Protocol Type,Duration,Rate,Srate,Drate,fin_flag_number,syn_flag_number,"
    "rst_flag_number,psh_flag_number,ack_flag_number,ece_flag_number,cwr_flag_number,ack_count,syn_count,"
    "fin_count,urg_count,rst_count,HTTP,HTTPS,DNS,Telnet,SMTP,SSH,IRC,TCP,UDP,DHCP,ARP,ICMP,IPv,LLC,Tot sum,"
    "Min,Max,AVG,Std,Tot size,IAT,Number,Magnitue,Radius,Covariance,Variance,Weight,label"
)
IOT2023_CAPTURES = (
    "Header_Length,Protocol Type,Time_To_Live,Rate,fin_flag_number,syn_flag_number,rst_flag_number,"
    "psh_flag_number,ack_flag_number,ece_flag_number,cwr_flag_number,ack_count,syn_count,fin_count,rst_count,"
    "HTTP,HTTPS,DNS,Telnet,SMTP,SSH,IRC,TCP,UDP,DHCP,ARP,ICMP,IGMP,IPv,LLC,Tot sum,Min,Max,AVG,Std,Tot size,"
    "IAT,Number,Variance"
)
IOT2023_MERGED = f"{IOT2023_CAPTURES},Label"

IOMT2024 = (
    "Header_Length,Protocol Type,Duration,Rate,Srate,Drate,fin_flag_number,syn_flag_number,rst_flag_number,"
    "psh_flag_number,ack_flag_number,ece_flag_number,cwr_flag_number,ack_count,syn_count,fin_count,rst_count,"
    "HTTP,HTTPS,DNS,Telnet,SMTP,SSH,IRC,TCP,UDP,DHCP,ARP,ICMP,IGMP,IPv,LLC,Tot sum,Min,Max,AVG,Std,Tot size,"
    "IAT,Number,Magnitue,Radius,Covariance,Variance,Weight"
)

UNSW_PAIR = (
    "id,dur,proto,service,state,spkts,dpkts,sbytes,dbytes,rate,sttl,dttl,sload,dload,sloss,dloss,sinpkt,"
    "dinpkt,sjit,djit,swin,stcpb,dtcpb,dwin,tcprtt,synack,ackdat,smean,dmean,trans_depth,response_body_len,"
    "ct_srv_src,ct_state_ttl,ct_dst_ltm,ct_src_dport_ltm,ct_dst_sport_ltm,ct_dst_src_ltm,is_ftp_login,"
    "ct_ftp_cmd,ct_flw_http_mthd,ct_src_ltm,ct_srv_dst,is_sm_ips_ports,attack_cat,label"
)
UNSW_PAIR_ROW = (
    "{number},0.121478,{proto},{service},FIN,6,4,258,172,74.08749,252,254,14158.94238,8495.365234,0,0,24.2956,"
    "8.375,30.177547,11.830604,255,621772692,2202533631,255,0,0,0,43,43,0,0,1,0,1,1,1,1,0,0,0,1,1,0,{kind},{label}"
)
UNSW_RAW_ROW = (
    "59.166.0.0,{sport},149.171.126.6,{dsport},udp,CON,0.001055,132,164,31,29,0,0,dns,500473.9375,621800.9375,2,2,"
    "0,0,0,0,66,82,0,0,0,0,{start},{start},0.017,0.013,0,0,0,0,0,{methods},{login},{commands},3,7,1,3,1,1,1,{kind},"
    "{label}"
)


def numbers(count: int, generator: random.Random, **cells: str) -> str:
    """Return ``count`` numeric cells; ``cells`` replaces cell number ``c<n>`` by the text given."""
    row = [f"{generator.uniform(0, 1000):.3f}" for _ in range(count)]
    for name, text in cells.items():
        row[int(name[1:])] = text
    return ",".join(row)


def write(path: Path, lines: Sequence[str], *, encoding: str = "utf-8", end: str = "\n") -> Path:
    """Write lines, making folders as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((end.join(lines) + end).encode(encoding))
    return path
